// Talking to the server. Paths are relative, so the page also works behind a path prefix.

export class ApiError extends Error {
  constructor(message, {status = 0, code = '', requestId = '', retryAfter = null} = {}) {
    super(message);
    this.status = status;  // 0: no answer came
    this.code = code;
    this.requestId = requestId;
    this.retryAfter = retryAfter;  // seconds, as the server advises
  }
}

const kStored = 'podsense-key';

/// The API key or token that requests carry, "" for none. Kept for this tab alone.
export function key() {
  return sessionStorage.getItem(kStored) ?? '';
}
export function setKey(value) {
  if (value === '') sessionStorage.removeItem(kStored);
  else sessionStorage.setItem(kStored, value);
}

function headers(request) {
  return {
    ...(request.type && {'Content-Type': request.type}),
    ...(key() && {Authorization: `Bearer ${key()}`}),
  };
}

async function readJson(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === 'AbortError' || error.name === 'TimeoutError') throw error;
    return null;
  }
}

/// A request is {method, path, query?, type?, body?, file?}: what `curl` shows and `call` sends. `shown`
/// are parameters for this page alone. With `files` it is one for `curl` only: a form.
/// Answers {data, ms}; `ms` is the round trip as this browser saw it. `accept` lists statuses
/// other than 2xx whose JSON is an answer.
export async function call(request, {signal, accept = []} = {}) {
  const started = performance.now();
  let response;
  let data;
  try {
    response = await fetch(address({...request, query: {...request.query, ...request.shown}}), {
      method: request.method,
      headers: headers(request),
      body: request.file ?? request.body,
      signal,
      cache: 'no-store',
      credentials: 'same-origin',
    });
    data = await readJson(response);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(
        error.name === 'TimeoutError' ? 'The server did not answer in time.' :
                                        'The server cannot be reached.',
        {code: 'NO_CONNECTION'});
  }
  const elapsed = performance.now() - started;
  if ((response.ok || accept.includes(response.status)) && data !== null) {
    return {data, ms: elapsed};
  }
  throw new ApiError(
      data?.error ?? `The server's answer was not JSON (${response.statusText || 'no reason given'}).`,
      {
        status: response.status,
        code: data?.code ?? '',
        requestId: data?.request_id ?? response.headers.get('X-Request-Id') ?? '',
        retryAfter: response.headers.get('Retry-After'),
      });
}

export function address({path, query = {}}) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/// curl reads ; and , in a form's file name as the end of it, unless it stands in double quotes.
const formName = (name) => (/[;,"\\]/.test(name) ? `"${name.replace(/["\\]/g, '\\$&')}"` : name);

export function curl(request) {
  const parts = [];
  if (request.type) parts.push(`-H ${quoted(`Content-Type: ${request.type}`)}`);
  if (key()) parts.push('-H "Authorization: Bearer $KEY"');  // a secret is not for copying about
  for (const file of request.files ?? []) parts.push(`-F ${quoted(`file=@${formName(file.name)}`)}`);
  if (request.file) parts.push(`--data-binary @${quoted(request.file.name || 'picture')}`);
  else if (request.body) parts.push(`-d ${quoted(request.body)}`);
  parts.push(quoted(address(request)));
  return `curl ${parts.join(' \\\n  ')}`;
}

export const getJson = (path, options = {}) => call({method: 'GET', path}, options);

/// What the server can do: 503 carries the same JSON as 200.
export const getHealth = (options = {}) => call({method: 'GET', path: 'health'}, {...options, accept: [503]});

export const jsonRequest = (path, fields) => ({
  method: 'POST', path, type: 'application/json', body: JSON.stringify(fields),
});
