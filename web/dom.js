// Small helpers. Styles are set through CSSOM alone: the page's policy forbids inline ones.

export const $ = (id) => document.getElementById(id);

/// h('p.small', {title: 'x'}, 'text', child, …). A null or undefined attribute or child is left out.
export function h(selector, attributes = {}, ...children) {
  const [tag, ...classes] = selector.split('.');
  const element = document.createElement(tag);
  if (classes.length > 0) element.className = classes.join(' ');
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const kSvg = 'http://www.w3.org/2000/svg';
export function svg(tag, attributes = {}) {
  const element = document.createElementNS(kSvg, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/// Clipboard access needs HTTPS or localhost; elsewhere the old command still works.
async function copyText(text) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = h('textarea.vh', {readonly: true, 'aria-hidden': 'true'});
  area.value = text;
  document.body.append(area);
  const before = document.activeElement;
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  before?.focus();
  if (!done) throw new Error('not allowed');
}

export function copyButton(text, what, words = 'Copy') {
  const label = h('span', {}, words);
  const button = h('button.quiet.copy', {type: 'button', 'aria-label': `Copy ${what}`}, label);
  button.addEventListener('click', async () => {
    try {
      await copyText(text);
      label.textContent = 'Copied';
    } catch {
      label.textContent = 'Select and copy by hand';
    }
    $('announce')?.replaceChildren(label.textContent);
    setTimeout(() => { label.textContent = words; }, 2000);
  });
  return button;
}

/// 0.4837 → "0.48", 17.62 → "17.6", 1234.5 → "1,235": as many digits as mean something.
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  if (Math.abs(value) < 1) return value.toLocaleString('en', {maximumSignificantDigits: 2});
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', {maximumFractionDigits: digits});
}
export const whole = (value) => (Number.isFinite(value) ? Math.round(value).toLocaleString('en') : '–');

/// 0.97 → "97 %", 0.034 → "3.4 %". Only 0 is "0 %", and only 1 and what is above it 100 or more.
export function percent(value) {
  if (!Number.isFinite(value)) return '–';
  const share = value * 100;
  if (share > 0 && share < 0.05) return '< 0.1 %';
  if (share > 99.95 && share < 100) return '> 99.9 %';
  const digits = share === 0 || (share >= 9.95 && share < 99.5) || share >= 100 ? 0 : 1;
  return `${share.toFixed(digits)} %`;
}

export function ms(value) {
  if (!Number.isFinite(value)) return '–';
  return value >= 10000 ? `${number(value / 1000)} s` : `${number(value)} ms`;
}

/// A time read from a histogram's buckets: two digits are all that is known.
export const roughMs = (value) => ms(Number.isFinite(value) ? Number(value.toPrecision(2)) : NaN);

/// What a model answered: seven digits, as many as FP32 has.
export const exact = (value) =>
    (Number.isFinite(value) ? value.toLocaleString('en', {maximumSignificantDigits: 7}) : '–');

export function bytes(value) {
  if (!Number.isFinite(value)) return '–';
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${number(value)} ${units[unit]}`;
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return '–';
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const first = parts.findIndex(([size]) => seconds >= size);
  if (first < 0) return '0 s';
  const [size, name] = parts[first];
  const rest = parts[first + 1];
  const head = `${Math.floor(seconds / size)} ${name}`;
  const more = rest ? Math.floor((seconds % size) / rest[0]) : 0;
  return more > 0 ? `${head} ${more} ${rest[1]}` : head;
}
