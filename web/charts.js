// Line charts of the last two minutes, in SVG. Colours and strokes come from classes in app.css.

import {h, svg} from './dom.js';

export const kWindow = 120;  // seconds
const kGap = 3.5;            // a longer silence breaks the line
const kPad = {top: 8, right: 8, bottom: 18, left: 8};

/// The next of 1, 2, 5 × 10ⁿ.
export function niceTop(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= value * 0.999) ?? 10;
  return step * power;
}

/// Samples {t, …values}, oldest first; shared by all charts.
export class Samples {
  #rows = [];
  add(row) {
    this.#rows.push(row);
    const oldest = row.t - kWindow - kGap;
    while (this.#rows.length > 0 && this.#rows[0].t < oldest) this.#rows.shift();
  }
  /// `rows` are all that is known of their time.
  fill(rows) {
    if (rows.length === 0) return;
    this.#rows = [...this.#rows.filter((row) => row.t < rows[0].t - 0.5), ...rows];
  }
  get rows() { return this.#rows; }
  get last() { return this.#rows.at(-1); }
}

/// options: {title, series: [{key, label}], format(value), floor?, area?, level?(value)}
/// `floor` is the least end of the scale; `level` names a class for the headline, which is the first
/// series' value.
export class Chart {
  #options;
  #samples;
  #now = 0;
  #hover = null;  // seconds before now

  constructor(options, samples) {
    this.#options = options;
    this.#samples = samples;
    this.#build();
    new ResizeObserver(() => this.draw(this.#now)).observe(this.plot);
    this.plot.addEventListener('pointermove', (event) => this.#point(event));
    this.plot.addEventListener('pointerleave', () => {
      this.#hover = null;
      this.draw(this.#now);
    });
  }

  #build() {
    const {title, series, area} = this.#options;
    this.headline = h('strong.headline', {}, '–');
    this.when = h('span.when');
    this.plot = svg('svg', {class: 'plot', role: 'img'});
    this.grid = svg('g', {class: 'grid-lines', 'aria-hidden': 'true'});
    this.cursor = svg('line', {class: 'cursor', visibility: 'hidden'});
    this.plot.append(this.grid);
    this.lines = series.map((one, i) => {
      const fill = area ? svg('path', {class: `area s${i}`}) : null;
      const line = svg('path', {class: `line s${i}`, 'data-series': one.key, 'data-points': '0'});
      const dot = svg('circle', {class: `dot s${i}`, r: 3.5, visibility: 'hidden'});
      if (fill) this.plot.append(fill);
      this.plot.append(line);
      const value = h('span.value', {}, '–');
      const item = h('li', {}, h(`span.swatch.s${i}`, {'aria-hidden': 'true'}), `${one.label} `, value);
      return {...one, fill, line, dot, value, item};
    });
    this.plot.append(this.cursor, ...this.lines.map((line) => line.dot));
    this.element = h('figure.chart.card', {},
        h('figcaption', {}, h('span', {}, title), this.when, this.headline),
        this.plot,
        series.length > 1 ? h('ul.legend', {}, this.lines.map((line) => line.item)) : null);
  }

  #point(event) {
    const box = this.plot.getBoundingClientRect();
    const inner = box.width - kPad.left - kPad.right;
    const share = (event.clientX - box.left - kPad.left) / inner;
    this.#hover = kWindow * (1 - Math.min(1, Math.max(0, share)));
    this.draw(this.#now);
  }

  /// `now` on the clock of the samples' `t`.
  draw(now) {
    this.#now = now;
    const width = this.plot.clientWidth;
    const height = this.plot.clientHeight;
    if (width === 0 || height === 0) return;
    const rows = this.#samples.rows.filter((row) => row.t >= now - kWindow);
    const top = this.#scale(rows);
    const x = (t) => kPad.left + (width - kPad.left - kPad.right) * (1 - (now - t) / kWindow);
    const y = (v) => kPad.top + (height - kPad.top - kPad.bottom) * (1 - v / top);
    this.plot.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.#drawGrid(width, height, top, y);
    const shown = this.#shownRow(rows, now);
    for (const line of this.lines) this.#drawLine(line, rows, x, y, shown);
    this.#drawCursor(shown, x, height);
    this.#write(shown, now);
  }

  #scale(rows) {
    let most = this.#options.floor ?? 0;
    for (const row of rows) {
      for (const {key} of this.lines) if (row[key] > most) most = row[key];
    }
    return niceTop(most);
  }

  #drawGrid(width, height, top, y) {
    const nodes = [];
    for (const share of [0, 0.5, 1]) {
      const at = Math.round(y(top * share)) + 0.5;
      nodes.push(svg('line', {x1: kPad.left, x2: width - kPad.right, y1: at, y2: at}));
      if (share === 0) continue;
      const label = svg('text', {x: kPad.left, y: at + 11});
      label.textContent = this.#options.format(top * share);
      nodes.push(label);
    }
    for (const [text, x, anchor] of [['2 min ago', kPad.left, 'start'],
                                     ['now', width - kPad.right, 'end']]) {
      const label = svg('text', {x, y: height - 4, 'text-anchor': anchor});
      label.textContent = text;
      nodes.push(label);
    }
    this.grid.replaceChildren(...nodes);
  }

  #drawLine({key, line, fill, dot}, rows, x, y, shown) {
    let path = '';
    let area = '';
    let points = 0;
    let before = null;  // the row that the next point joins to
    const close = () => { if (area && before) area += `L${x(before.t).toFixed(1)} ${y(0)}Z`; };
    for (const row of rows) {
      const value = row[key];
      if (!Number.isFinite(value)) {
        close();
        before = null;
        continue;
      }
      const at = `${x(row.t).toFixed(1)} ${y(value).toFixed(1)}`;
      if (before && row.t - before.t <= kGap) {
        path += `L${at}`;
        area += `L${at}`;
      } else {
        close();
        path += `M${at}h0`;  // h0: a lone point shows as a round cap
        area += `M${x(row.t).toFixed(1)} ${y(0)}L${at}`;
      }
      before = row;
      points += 1;
    }
    close();
    line.setAttribute('d', path);
    line.setAttribute('data-points', points);
    fill?.setAttribute('d', area);
    const value = shown?.[key];
    dot.setAttribute('visibility', Number.isFinite(value) ? 'visible' : 'hidden');
    if (Number.isFinite(value)) {
      dot.setAttribute('cx', x(shown.t).toFixed(1));
      dot.setAttribute('cy', y(value).toFixed(1));
    }
  }

  #shownRow(rows, now) {
    const last = rows.at(-1);
    if (this.#hover === null) return last && now - last.t <= kGap ? last : null;
    const target = now - this.#hover;
    let best = null;
    for (const row of rows) {
      if (best === null || Math.abs(row.t - target) < Math.abs(best.t - target)) best = row;
    }
    return best;
  }

  #drawCursor(shown, x, height) {
    const on = this.#hover !== null && shown;
    this.cursor.setAttribute('visibility', on ? 'visible' : 'hidden');
    if (!on) return;
    const at = x(shown.t).toFixed(1);
    for (const [name, value] of [['x1', at], ['x2', at], ['y1', kPad.top], ['y2', height - kPad.bottom]]) {
      this.cursor.setAttribute(name, value);
    }
  }

  #write(shown, now) {
    const {title, format, level} = this.#options;
    const values = this.lines.map(({key}) => {
      const value = shown?.[key];
      return Number.isFinite(value) ? format(value) : '–';
    });
    const name = this.lines.length > 1 ? h('span.small', {}, ` ${this.lines[0].label}`) : '';
    this.headline.replaceChildren(values[0], name);
    this.headline.dataset.level = level && shown ? level(shown[this.lines[0].key]) : '';
    this.when.textContent =
        this.#hover !== null && shown ? `${Math.round(now - shown.t)} s ago` : '';
    this.lines.forEach((line, i) => { line.value.textContent = values[i]; });
    this.plot.setAttribute('aria-label', `${title}: ${
        this.lines.map((line, i) => `${line.label} ${values[i]}`).join(', ')}`);
  }
}
