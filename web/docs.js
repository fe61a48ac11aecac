// Renders openapi.json. What is shown is what the document says; nothing is known here besides.

import {getJson} from './api.js';
import {$, copyButton, h} from './dom.js';
import {schemaTable, typeOf} from './schema.js';

const kMethods = ['get', 'post', 'put', 'patch', 'delete'];
let doc = null;

function resolve(node) {
  let steps = 0;
  while (node?.$ref && steps < 16) {
    node = node.$ref.slice(2).split('/').reduce((at, key) => at?.[key.replaceAll('~1', '/')], doc);
    steps += 1;
  }
  return node ?? {};
}

/// `code` in descriptions becomes <code>; nothing else of Markdown is used.
function prose(text = '') {
  return text.split('`').map((part, i) => (i % 2 === 1 ? h('code', {}, part) : part));
}

function operations() {
  return Object.entries(doc.paths).flatMap(([path, item]) => kMethods.filter((method) => item[method])
      .map((method) => ({path, method, servers: item.servers, ...item[method]})));
}

/// A path, which may break before a slash and nowhere else.
function pathCode(path) {
  const parts = path.split(/(?=\/)/);
  return h('code.path', {}, parts.flatMap((part, i) => (i === 0 ? [h('span', {}, part)] : [h('wbr'), h('span', {}, part)])));
}

const anchor = ({method, path}) => `${method}${path.replace(/\W+/g, '-')}`.replace(/-$/, '');
const badge = (method) => h('span.method', {'data-method': method}, method.toUpperCase());

function block(title, ...content) {
  return h('section.block', {}, h('h3', {}, title), ...content);
}

function code(text, what) {
  return h('div.code', {}, h('pre', {tabindex: '0'}, h('code', {}, text)), copyButton(text, what));
}

function parameters(list = []) {
  const rows = list.map(resolve);
  if (rows.length === 0) return null;
  return block('Parameters', h('div.table-box', {}, h('table', {}, h('tbody', {}, rows.map((row) =>
    h('tr', {}, h('th', {scope: 'row'}, h('code', {}, row.name), row.required ? h('span.tag', {}, 'required') : null),
      h('td', {}, h('span.small', {}, `${row.in}, ${typeOf(row.schema, resolve)}`), h('div', {}, prose(row.description)))))))));
}

function examples(media) {
  const named = Object.entries(media.examples ?? {}).map(([name, one]) => [name, resolve(one).value]);
  return media.example === undefined ? named : [['example', media.example], ...named];
}

const pretty = (value) => (typeof value === 'string' ? value :
    JSON.stringify(value, null, 2).replace(/\[\s+(-?[\d.]+(?:,\s+-?[\d.]+)*)\s+\]/g,
                                           (_, list) => `[${list.replace(/\s+/g, ' ')}]`));

function mediaBlock(type, media) {
  const schema = resolve(media.schema);
  const shown = examples(media);
  return h('details.media', {open: type === 'application/json'},
    h('summary', {}, h('code', {}, type), ' ', h('span.small', {}, typeOf(media.schema, resolve))),
    schema.type === 'object' ? schemaTable(media.schema, resolve, prose) :
                               h('p.small', {}, prose(schema.description)),
    shown.map(([name, value]) => h('div.example', {}, h('p.small', {}, name),
      h('pre', {tabindex: '0'}, h('code', {}, pretty(value))))));
}

function body(request) {
  if (!request) return null;
  const {content, required} = resolve(request);
  return block(required ? 'Body' : 'Body, optional', Object.entries(content).map(([type, media]) => mediaBlock(type, media)));
}

function response(status, reference) {
  const one = resolve(reference);
  const headers = Object.entries(one.headers ?? {});
  const good = status < '400';
  return h('details.response', {open: status === '200'},
    h('summary', {}, h('span.status', {'data-good': String(good)}, status), ' ', h('span', {}, prose(one.description))),
    headers.length > 0 ? h('p.small', {}, 'Headers: ', headers.flatMap(([name], i) => [i > 0 ? ', ' : '', h('code', {}, name)])) : null,
    Object.entries(one.content ?? {}).map(([type, media]) => mediaBlock(type, media)));
}

/// GET routes of this very server can be tried in place; the policy lets the page reach no other.
function tryIt(operation) {
  if (operation.method !== 'get' || operation.servers || operation.tags.includes('Pages')) return null;
  const output = h('pre', {tabindex: '0', hidden: true, 'aria-live': 'polite'}, '');
  const button = h('button', {type: 'button'}, 'Send');
  button.addEventListener('click', async () => {
    button.disabled = true;
    const query = (operation.parameters ?? []).map(resolve)
        .filter((one) => one.in === 'query' && one.name === 'cpu_ms').map((one) => `${one.name}=${one.example}`);
    try {
      const address = `.${operation.path}${query.length > 0 ? `?${query.join('&')}` : ''}`;
      const answer = await fetch(address, {cache: 'no-store'});
      const text = await answer.text();
      let shown = text;
      try { shown = pretty(JSON.parse(text)); } catch { /* plain text it is */ }
      output.textContent = `${answer.status} ${answer.statusText}\n\n${shown}`;
    } catch {
      output.textContent = 'The server cannot be reached.';
    }
    output.hidden = false;
    button.disabled = false;
  });
  return block('Try it', button, output);
}

function operationCard(operation) {
  const sample = operation['x-codeSamples']?.[0]?.source;
  const id = anchor(operation);
  return h('article.card.operation', {id, 'aria-labelledby': `${id}-title`},
    h('header', {}, h('h2', {id: `${id}-title`}, badge(operation.method), ' ', pathCode(operation.path)),
      operation.servers ? h('p.tag', {}, `${new URL(operation.servers[0].url).port}: ${operation.servers[0].description}`) : null),
    h('p.summary', {}, operation.summary), h('p', {}, prose(operation.description)),
    sample ? code(sample, `the example of ${operation.path}`) : null,
    parameters(operation.parameters), body(operation.requestBody),
    block('Answers', Object.entries(operation.responses).map(([status, one]) => response(status, one))),
    tryIt(operation));
}

/// Text to search: what the card itself shows, without the answers' examples.
function textOf(operation, card) {
  const parts = [...card.querySelectorAll('h2, p, th, td, summary')]
      .filter((one) => !one.closest('.example')).map((one) => one.textContent);
  return [operation.method, operation.path, operation.operationId, ...parts].join(' ').toLowerCase();
}

function filter(entries, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const entry of entries) {
    const fits = words.every((word) => entry.text.includes(word));
    entry.card.hidden = !fits;
    entry.link.hidden = !fits;
    shown += fits ? 1 : 0;
  }
  for (const group of document.querySelectorAll('[data-group]')) {
    group.hidden = !group.querySelector('[data-entry]:not([hidden])');
  }
  $('nothing').hidden = shown > 0;
  $('announce').textContent = words.length > 0 ? `${shown} of ${entries.length} endpoints` : '';
}

function render() {
  const entries = operations().map((operation) => {
    const card = operationCard(operation);
    card.dataset.entry = '';
    const link = h('li', {'data-entry': ''}, h('a', {href: `#${card.id}`}, badge(operation.method), pathCode(operation.path)));
    return {operation, card, link, text: textOf(operation, card)};
  });
  const of = (tag) => entries.filter((entry) => entry.operation.tags[0] === tag.name);
  $('toc').replaceChildren(...doc.tags.map((tag) => h('div', {'data-group': ''},
    h('h2.toc-title', {}, tag.name), h('ul', {}, of(tag).map((entry) => entry.link)))));
  $('operations').replaceChildren(...doc.tags.map((tag) => h('section', {'data-group': '', 'aria-label': tag.name},
    h('div.group-head', {}, h('h2', {}, tag.name), h('p.small', {}, prose(tag.description))), of(tag).map((entry) => entry.card))));
  $('intro').replaceChildren(h('h1', {}, `${doc.info.title} API `, h('span.version', {}, doc.info.version)),
    h('p', {}, prose(doc.info.description)));
  $('search').addEventListener('input', () => filter(entries, $('search').value));
  if (location.hash.length > 1) $(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

async function start() {
  try {
    doc = (await getJson('openapi.json')).data;
    render();
  } catch (error) {
    $('operations').replaceChildren(h('div.error', {role: 'alert'}, h('p.display', {}, 'No documentation to show.'),
      h('p', {}, error.message)));
  }
}

start();
