function make(tag, attributes = {}, ...children) {
  const svg = ['svg', 'g', 'path', 'line', 'rect', 'text', 'circle'].includes(tag);
  const node = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// --- numbers for people
function digits(value) {
  const size = Math.abs(value);
  return value.toFixed(size >= 99.95 || value === 0 ? 0 : size >= 9.995 ? 1 : 2);
}
function time(seconds) {
  if (seconds === undefined) return '–';
  if (seconds >= 0.9995) return `${digits(seconds)} s`;
  return seconds >= 0.9995e-3 ? `${digits(seconds * 1e3)} ms` : `${digits(seconds * 1e6)} µs`;
}
const count = (n) => n.toLocaleString('en');
const rate = (n) => n >= 1000 ? count(Math.round(n)) : String(+digits(n));
const percent = (share) => share > 0 && share < 1e-4 ? '< 0.01 %' : share < 1 && share >= 0.9995 ? '> 99.9 %' : `${+digits(share * 100)} %`;

// --- the histogram's buckets, as src/quantiles/duration_histogram.h lays them out
function bounds(raw, bucket) {
  const half = 2 ** raw.sub_bits;
  const power = bucket < 2 * half ? 0 : Math.floor(bucket / half) - 1;
  const low = (bucket - power * half) * 2 ** power;
  const unit = 2 ** raw.unit_bits / 1e9;
  return [low * unit, (low + 2 ** power) * unit];
}
function quantile(raw, q) {
  const total = raw.buckets.reduce((sum, [, n]) => sum + n, 0);
  const rank = Math.max(1, Math.ceil(q * total - 1e-9));
  let below = 0;
  for (const [bucket, n] of raw.buckets) {
    below += n;
    if (below >= rank) return Math.min(bounds(raw, bucket)[1], raw.max_ns / 1e9);
  }
  return 0;
}

// --- scales and axes
function niceTicks(low, high, wanted) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough * 0.999);
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high * (1 + 1e-9); tick += step) ticks.push(tick);
  return ticks;
}
function logTicks(low, high) {
  const ticks = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); ++e) {
    for (const f of high / low > 300 ? [1] : high / low > 20 ? [1, 3] : [1, 1.5, 2, 3, 5, 7]) {
      const tick = f * 10 ** e;
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  }
  return ticks;
}
const linear = (a, b) => ({to: (v) => (v - a) / (b - a || 1), from: (s) => a + s * (b - a), ticks: (n) => niceTicks(a, b, n)});
const logarithmic = (a, b) => ({
  to: (v) => Math.log(Math.max(v, a) / a) / Math.log(b / a),
  from: (s) => a * (b / a) ** s,
  ticks: () => logTicks(a, b),
});

/// A plot: {x, y: scales, xName, xText, yText, draw(layer, X, Y), read(x) → text, label}
class Plot {
  constructor(spec) {
    this.spec = spec;
    this.svg = make('svg', {class: 'plot', role: 'img', tabindex: '0', 'aria-label': spec.label});
    this.readout = make('p', {class: 'readout', 'aria-live': 'polite'});
    this.node = make('div', {}, this.svg, this.readout);
    this.at = null;
    new ResizeObserver(() => this.draw()).observe(this.svg);
    this.svg.addEventListener('pointermove', (event) => {
      const box = this.svg.getBoundingClientRect();
      this.point((event.clientX - box.left - this.left) / (this.width - this.left - 14));
    });
    this.svg.addEventListener('pointerleave', () => this.point(null));
    this.svg.addEventListener('keydown', (event) => {
      const step = {ArrowRight: 0.02, ArrowLeft: -0.02}[event.key];
      if (step) { this.point(Math.min(1, Math.max(0, (this.at ?? 0.5) + step))); event.preventDefault(); }
    });
  }
  point(share) {
    this.at = share === null || share < 0 || share > 1 ? null : share;
    if (this.rule) {
      this.rule.setAttribute('visibility', this.at === null ? 'hidden' : 'visible');
      const x = this.left + (this.at ?? 0) * (this.width - this.left - 14);
      this.rule.setAttribute('x1', x);
      this.rule.setAttribute('x2', x);
    }
    this.readout.innerHTML = this.at === null ? (this.spec.hint ?? '') : this.spec.read(this.spec.x.from(this.at));
  }
  draw() {
    const {x, y, xText, yText, xName} = this.spec;
    const box = this.svg.getBoundingClientRect();
    if (!box.width) return;
    this.width = box.width;
    const height = box.height;
    this.left = 64;
    const right = this.width - 14, top = 8, bottom = height - 40;
    const X = (v) => this.left + x.to(v) * (right - this.left);
    const Y = (v) => bottom - y.to(v) * (bottom - top);
    this.svg.replaceChildren();
    for (const tick of y.ticks(5)) {
      this.svg.append(make('line', {class: 'grid', x1: this.left, x2: right, y1: Y(tick), y2: Y(tick)}),
        make('text', {x: this.left - 8, y: Y(tick) + 4, 'text-anchor': 'end'}, yText(tick)));
    }
    let last = -Infinity;
    for (const tick of x.ticks(Math.max(3, this.width / 110))) {
      if (X(tick) - last < 52) continue;
      last = X(tick);
      this.svg.append(make('line', {class: 'grid', x1: X(tick), x2: X(tick), y1: top, y2: bottom}),
        make('text', {x: Math.min(X(tick), this.width - 4.2 * xText(tick).length), y: bottom + 17, 'text-anchor': 'middle'}, xText(tick)));
    }
    const layer = make('g');
    this.svg.append(layer, make('line', {class: 'axis', x1: this.left, x2: right, y1: bottom, y2: bottom}),
      make('text', {x: right, y: bottom + 34, 'text-anchor': 'end'}, xName));
    this.spec.draw(layer, X, Y, {top, bottom, left: this.left, right});
    this.rule = make('line', {class: 'rule', y1: top, y2: bottom, visibility: 'hidden'});
    this.svg.append(this.rule);
    this.point(this.at);
  }
}
const path = (points) => points.map(([x, y], i) => `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');
const line = (points, color, width = 2) =>
  make('path', {d: path(points), fill: 'none', stroke: `var(--${color})`, 'stroke-width': width, 'stroke-linejoin': 'round'});
const band = (upper, lower, color, opacity) =>
  make('path', {d: `${path(upper)}L${path(lower.slice().reverse()).slice(1)}Z`, fill: `var(--${color})`, 'fill-opacity': opacity});

function legend(...entries) {
  return make('ul', {class: 'legend'}, ...entries.map(([name, color, opacity = 1]) => {
    const mark = make('i');
    mark.style.cssText = `background: var(--${color}); opacity: ${opacity}`;
    return make('li', {}, mark, name);
  }));
}
function section(title, note, ...content) {
  const head = make('div', {class: 'head'}, make('h2', {}, title));
  return make('section', {}, head, ...(note ? [make('p', {class: 'soft small'}, note)] : []), ...content);
}
/// `name` says what the table is to those who do not see it. A heading in brackets is not shown.
function table(name, head, rows) {
  const heading = (h) => {
    const hidden = typeof h === 'string' && h.match(/^\((.*)\)$/);
    const cell = h instanceof Node ? h : make('th', {}, hidden ? make('span', {class: 'unseen'}, hidden[1]) : h);
    cell.setAttribute('scope', 'col');
    return cell;
  };
  const cell = (value, first) => {
    if (first) return make('th', {scope: 'row', ...(value instanceof Node ? {class: value.className} : {})}, ...(value instanceof Node ? value.childNodes : [value]));
    return value instanceof Node ? value : make('td', {}, value);
  };
  // It scrolls sideways where it is too wide: by keys only if it can have the focus.
  return make('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': name}, make('table', {},
    make('thead', {}, make('tr', {}, ...head.map(heading))),
    make('tbody', {}, ...rows.map((row) => make('tr', {}, ...row.map((value, i) => cell(value, i === 0)))))));
}
