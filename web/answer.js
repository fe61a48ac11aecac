// The right-hand card: an answer, an error, or what to expect.

import {curl} from './api.js';
import {$, copyButton, h, ms, number, percent, svg, whole} from './dom.js';

const kPhases = [
  ['fetch', 'Fetch'], ['queue', 'Queue'], ['preprocess', 'Preprocess'], ['compute', 'Compute'],
];
const kMaxBars = 50;  // more are in the JSON

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
    piece.style.setProperty('--part', Math.max(0, value));
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

function command(request) {
  const text = curl(request);
  return h('section.command', {'aria-label': 'The same with curl'},
      h('div.command-head', {}, h('h3', {}, 'The same with curl'), copyButton(text, 'the curl command')),
      h('pre', {tabindex: '0'}, h('code', {}, text)));
}

function raw(answer) {
  return h('details', {}, h('summary', {}, 'JSON'),
           h('pre', {tabindex: '0'}, h('code', {}, JSON.stringify(answer, null, 2))));
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
    return {title: [answer.value].flat().map(number).join(', '), rows: []};
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

/// The picture with a box around everything that was found in it.
function withBoxes(picture, answer) {
  if (!answer.picture || picture?.tagName !== 'IMG') return picture;
  const {width, height} = answer.picture;
  const drawing = svg('svg', {viewBox: `0 0 ${width} ${height}`, class: 'boxes', 'aria-hidden': 'true'});
  for (const one of answer.predictions) {
    const {x_min: x, y_min: y, x_max: right, y_max: bottom} = one.box;
    const frame = svg('rect', {x, y, width: right - x, height: bottom - y});
    const title = svg('title');
    title.textContent = `${nameOf(one)}, ${percent(one.score)}`;
    frame.append(title);
    drawing.append(frame);
  }
  picture.classList.add('whole');
  return h('div.with-boxes', {}, picture, drawing);
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

/// `picture` is an element that shows what was asked about, or null.
export function showAnswer(answer, {request, roundTrip, picture, summary}) {
  const {title, score, rows} = content(answer);
  show(h('div.verdict', {}, withBoxes(picture, answer),
         h('div', {}, h('p.display', {}, title),
           score === undefined ? null : h('p.sure', {}, `${percent(score)} sure`),
           summary ? h('p.sure', {}, summary) : null)),
       rows.length > 0 ? bars(rows) : null, timing(answer.timing_ms, roundTrip), facts(answer),
       command(request), raw(answer));
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
