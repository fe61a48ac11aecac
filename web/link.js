// A question as the end of the page's address, behind #: `#url?url=https%3A%2F%2F…&top_k=5`. A server
// never sees it. A link fills the form and asks nothing by itself: the reader decides whether to ask.

/// {kind, question}: what stands behind #, `question` null where it is a tab's name alone.
export function readLink(hash = location.hash) {
  const text = hash.replace(/^#/, '');
  const at = text.indexOf('?');
  if (at < 0) return {kind: text, question: null};
  return {kind: text.slice(0, at), question: Object.fromEntries(new URLSearchParams(text.slice(at + 1)))};
}

/// The whole address. Parameters that are null, undefined or '' are left out.
export function linkTo(kind, question) {
  const given = Object.entries(question).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const url = new URL(location.href);
  url.hash = `${kind}?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
  return url.href;
}
