// The right-hand card: an answer, an error, or what to expect.

import {curl} from './api.js';
import {$, copyButton, exact, h, ms, percent, svg, whole} from './dom.js';
import {standStill} from './pictures.js';

const kPhases = [
  ['fetch', 'Fetch'], ['queue', 'Queue'], ['preprocess', 'Preprocess'], ['compute', 'Compute'],
];
const kMaxBars = 50;   // more are in the JSON
const kMaxNames = 20;  // of boxes; more would hide the picture

function bar(label, share, note) {
  const fill = h('span.fill');
  fill.style.setProperty('--share', share);
  return h('li.bar', {}, h('span.label', {}, label, note ? h('span.index', {}, ` ${note}`) : null),
           h('span.score', {}, percent(share)), h('span.track', {'aria-hidden': 'true'}, fill));
}

function bars(rows) {
  const list = h('ol.bars', {}, rows.slice(0, kMaxBars).map((row) => bar(row.label, row.score, row.note)));
  const more = rows.length - kMaxBars;
  return more > 0 ? [list, h('p.small', {}, `and ${whole(more)} more, in the JSON below`)] : [list];
}

/// What the phases leave of the total is the server's own work.
function timing(timings, roundTrip) {
  const parts = kPhases.filter(([key]) => Number.isFinite(timings[key]))
                    .map(([key, name]) => ({key, name, value: timings[key]}));
  const rest = timings.total - parts.reduce((sum, part) => sum + part.value, 0);
  if (rest > 0) parts.push({key: 'other', name: 'Other', value: rest});
  const stack = h('div.stack', {'aria-hidden': 'true'});
  for (const {key, value} of parts) {
    const piece = h(`span.piece.t-${key}`);
    piece.style.setProperty('--part', (100 * Math.max(0, value)) / timings.total);
    stack.append(piece);
  }
  return h('section.timing', {'aria-label': 'Time taken'},
      h('h3', {}, 'Time ', h('span.total', {}, ms(timings.total)),
        h('span.small', {}, ` in the server, ${ms(roundTrip)} as seen here`)),
      stack,
      h('dl.legend', {}, parts.map(({key, name, value}) => h('div', {},
          h('dt', {}, h(`span.swatch.t-${key}`, {'aria-hidden': 'true'}), name), h('dd', {}, ms(value))))));
}

function facts(answer) {
  return h('dl.facts', {},
      h('div', {}, h('dt', {}, 'Model'), h('dd', {}, answer.model)),
      answer.version ? h('div', {}, h('dt', {}, 'Version'), h('dd', {}, answer.version)) : null,
      h('div.wide', {}, h('dt', {}, 'Request'), h('dd.mono', {}, answer.request_id)));
}

/// `link` brings the question again; null where none can.
function command(request, link) {
  const text = curl(request);
  return h('section.command', {'aria-label': 'The same with curl'},
      h('div.command-head', {}, h('h3', {}, 'The same with curl'), copyButton(text, 'the curl command'),
        link ? copyButton(link, 'a link to this question', 'Copy link') : null),
      h('pre', {tabindex: '0'}, h('code', {}, text)));
}

/// A thumbnail's letters say nothing.
function raw(answer) {
  const short = (key, value) => (key === 'thumbnail' ? `${value.slice(0, 22)}… (${whole(value.length)} characters)` : value);
  return h('details', {}, h('summary', {}, 'JSON'),
           h('pre', {tabindex: '0'}, h('code', {}, JSON.stringify(answer, short, 2))));
}

/// Headline and rows of any of the answers' kinds.
function content(answer) {
  if (answer.probabilities) {
    const rows = answer.probabilities.map((score, i) => ({
      label: i === answer.prediction ? `Class ${answer.label}` : `Class ${i}`, score}));
    return {title: `Class ${answer.label}`, score: answer.probabilities[answer.prediction],
            rows: rows.sort((a, b) => b.score - a.score)};
  }
  if (answer.scores) {
    return {title: `Class ${answer.label}`, rows: []};  // the JSON has the scores: no shares to draw
  }
  if (answer.value !== undefined) {
    return {title: [answer.value].flat().map(exact).join(', '), rows: []};
  }
  if (answer.picture) {
    const found = answer.predictions.map((one) => ({label: nameOf(one), score: one.score}));
    return {title: found.length > 0 ? `${whole(found.length)} found` : 'Nothing found', rows: found};
  }
  if (answer.predictions) {
    const rows = answer.predictions.map((one) => ({label: one.label, score: one.score, note: one.class}));
    return {title: rows[0]?.label ?? 'nothing', score: rows[0]?.score, rows};
  }
  return {title: `${ms(answer.cpu_ms)} burnt`, rows: []};
}

const nameOf = (one) => one.label || `Class ${one.class}`;

/// One found thing's frame, and its name where it does not hide too much.
function frameOf(one, {width, height}, named) {
  const {x_min: left, y_min: top, x_max: right, y_max: bottom} = one.box;
  const frame = svg('rect', {x: left, y: top, width: right - left, height: bottom - top});
  const title = svg('title');
  title.textContent = `${nameOf(one)}, ${percent(one.score)}`;
  frame.append(title);
  if (!named) return {frame, name: null};
  const name = h('span.box-name', {}, `${nameOf(one)} ${percent(one.score)}`);
  name.style.setProperty('--x', left / width);
  name.style.setProperty('--y', top / height);
  return {frame, name};
}

/// Names whose boxes begin at about the same place stand below each other.
function layOut(found, {width, height}, names) {
  found.forEach(({box}, i) => {
    const line = found.slice(0, i).filter((other) => Math.abs(other.box.x_min - box.x_min) < width / 4 &&
        Math.abs(other.box.y_min - box.y_min) < height / 16).length;
    names[i].style.setProperty('--line', line);
  });
}

/// The picture with a box around everything that was found in it.
function withBoxes(picture, answer) {
  if (!answer.picture || picture?.tagName !== 'IMG') return picture;
  const {width, height} = answer.picture;
  const drawing = svg('svg', {viewBox: `0 0 ${width} ${height}`, class: 'boxes', preserveAspectRatio: 'none', 'aria-hidden': 'true'});
  const frames = answer.predictions.map((one, i) => frameOf(one, answer.picture, i < kMaxNames));
  layOut(answer.predictions.slice(0, kMaxNames), answer.picture, frames.map(({name}) => name));
  drawing.append(...frames.map(({frame}) => frame));
  picture.classList.add('whole');
  return h('div.with-boxes', {}, picture, drawing,
           h('div.box-names', {'aria-hidden': 'true'}, frames.map(({name}) => name)));
}

/// What is to be known of the picture, as sentences.
function remarks(answer, note) {
  const frames = answer.animation?.frames;
  return [note, frames ? `An animation of ${whole(frames)} frames: the first was asked about.` : null]
      .filter(Boolean).map((text) => h('p.small', {}, text));
}

function show(...nodes) {
  $('answer-body').replaceChildren(...nodes.flat().filter(Boolean));
}
export function announce(text) { $('announce').textContent = text; }

export function busy(on) {
  $('answer').setAttribute('aria-busy', String(on));
}

export function showEmpty() {
  show(h('div.empty', {}, h('p.display', {}, 'Nothing asked yet.'),
         h('p', {}, 'Labels, scores and where the time went appear here, with the same request as a ',
           h('code', {}, 'curl'), ' command.')));
}

/// Of a link, whose question is not asked by itself. `missing`: the model that it names.
export function showLinked(verb, missing) {
  const words = missing ? `Its model, ${missing}, does not serve here: choose another.` :
                          `It fills the form: press ${verb} to ask it.`;
  show(h('div.empty', {}, h('p.display', {}, 'A question from a link.'), h('p', {}, words)));
  announce(`A question from a link. ${words}`);
}

/// `picture` is an element that shows what was asked about, or null; `about` says what it was.
export function showAnswer(answer, {request, roundTrip, picture, about, note, summary, link}) {
  const {title, score, rows} = content(answer);
  if (answer.animation && picture) picture.addEventListener('load', () => standStill(picture), {once: true});
  show(h('div.verdict', {}, withBoxes(picture, answer),
         h('div', {}, h('p.display', {}, title),
           score === undefined ? null : h('p.sure', {}, `${percent(score)} sure`),
           summary ? h('p.sure', {}, summary) : null, remarks(answer, note))),
       about ? h('p.asked-url', {}, about) : null,
       rows.length > 0 ? bars(rows) : null, timing(answer.timing_ms, roundTrip), facts(answer),
       command(request, link), raw(answer));
  announce(`${title}${score === undefined ? '' : `, ${percent(score)}`}. ${
      summary ?? ''} Answered in ${ms(answer.timing_ms.total)}.`);
}

const kHints = {
  NO_CONNECTION: 'Is the server running, and does this device reach it?',
  OVERLOADED: 'The server has more to do than it can finish in time.',
  RATE_LIMITED: 'Wait a moment before asking again.',
  UNAVAILABLE: 'The server is starting, stopping, or has no such model ready.',
};

export function showError(error, request) {
  const head = [error.status || null, error.code || null].filter(Boolean).join(' ');
  show(h('div.error', {role: 'alert'}, h('p.display', {}, 'That did not work.'),
         h('p.message', {}, error.message), kHints[error.code] ? h('p.small', {}, kHints[error.code]) : null,
         error.retryAfter ? h('p.small', {}, `The server asks to wait ${error.retryAfter} s.`) : null,
         h('dl.facts', {},
           head ? h('div', {}, h('dt', {}, 'Code'), h('dd.mono', {}, head)) : null,
           error.requestId ? h('div.wide', {}, h('dt', {}, 'Request'), h('dd.mono', {}, error.requestId)) : null)),
       request ? command(request) : null);
}

// ---- several pictures

/// A row of the list: what is asked about, then what came. `picture` is an element or null.
function row(name, picture) {
  const verdict = h('span.one-title', {}, 'waiting');
  const detail = h('span.small', {}, name);
  const more = h('div.one-more');
  const summary = h('summary', {}, picture, h('span.one-words', {}, verdict, detail));
  const element = h('li.one', {'data-state': 'waiting'}, h('details', {}, summary, more));
  const end = (state, title, words, ...nodes) => {
    element.dataset.state = state;
    verdict.textContent = title;
    detail.textContent = `${name} · ${words}`;
    more.replaceChildren(...nodes.flat().filter(Boolean));
  };
  return {element,
    answered(answer, {picture: whole, note}) {
      const {title, score, rows} = content(answer);
      const sure = score === undefined ? '' : `${percent(score)} sure, `;
      end('answered', title, `${sure}${ms(answer.timing_ms.total)}`,
          answer.picture ? withBoxes(whole, answer) : null, remarks(answer, note), bars(rows), raw(answer));
    },
    failed(error) {
      const code = [error.status || null, error.code || null].filter(Boolean).join(' ');
      end('failed', 'not answered', error.message, code ? h('p.mono', {}, code) : null);
    },
    left() {
      if (element.dataset.state === 'waiting') end('left', 'not asked', 'cancelled');
    }};
}

/// A list with a row for each of `asked`, {name, picture}; answers the rows, in their order.
export function showSeveral(asked, request) {
  const rows = asked.map(({name, picture}) => row(name, picture));
  const head = h('p.display', {}, '');
  const progress = (answered, failed) => {
    const left = rows.length - answered - failed;
    head.textContent = `${whole(answered)} of ${whole(rows.length)} answered${failed > 0 ? `, ${whole(failed)} failed` : ''}`;
    if (left === 0) announce(`${head.textContent}.`);
  };
  progress(0, 0);
  show(head, h('ol.several', {'aria-label': 'Answers'}, rows.map((one) => one.element)),
       request ? command(request) : null);
  return {rows, progress};
}
