// What the page knows to ask: one entry for each tab, each able to make a request or to say what is
// missing.

import {jsonRequest} from './api.js';
import {$, h} from './dom.js';

/// For the person at the page; `field` is where to put the cursor.
export class InputError extends Error {
  constructor(message, field) {
    super(message);
    this.field = field;
  }
}

// Two rows that the default model was tested with: it answers 1, then 0, and is sure of both.
const kExamples = [
  [-0.55, -0.42, -0.17, 1.18, -0.91, -1.55, -1.47, -0.81, 0.74, -2.62, -1, -2.95, 0.98, 3.96, 0.83, 0.57,
   0.49, -1.32, 1.47, 2.28],
  [-0.46, -1.11, 1.56, 2.01, -0.16, -1.49, -3.92, 1.27, -3.53, -1.28, -2.61, 4.72, -0.57, -3.21, -0.53,
   -0.73, -1.14, 3.55, -0.58, 0.45],
];
const kDefaultFeatures = 20;
const kMostFields = 128;
let nextExample = 0;

const fields = () => [...$('numbers').querySelectorAll('input')];

function spread(from, values) {
  fields().slice(from).forEach((field, i) => {
    if (i < values.length) field.value = values[i];
    field.removeAttribute('aria-invalid');
  });
}

function makeField(i) {
  const field = h('input', {type: 'text', id: `x${i + 1}`, autocomplete: 'off', spellcheck: 'false',
                            inputmode: 'text', enterkeyhint: 'next'});
  field.addEventListener('paste', (event) => {
    const values = event.clipboardData.getData('text').split(/[^-+.\deE]+/).filter((s) => s !== '');
    if (values.length < 2) return;
    event.preventDefault();
    spread(i, values);
  });
  return h('div', {}, h('label', {for: field.id}, `x${i + 1}`), field);
}

export function makeNumbers(count) {
  const wanted = Math.min(count ?? kDefaultFeatures, kMostFields);
  if (fields().length === wanted) return;
  const kept = fields().map((field) => field.value);
  $('numbers').replaceChildren(...Array.from({length: wanted}, (_, i) => makeField(i)));
  $('numbers-legend').textContent = `${wanted} numbers`;
  spread(0, kept);
}

export function fillExample() {
  const count = fields().length;
  const row = kExamples[nextExample % kExamples.length];
  nextExample += 1;
  spread(0, Array.from({length: count}, (_, i) => row[i % row.length]));
}

export function clearNumbers() {
  spread(0, fields().map(() => ''));
  fields()[0].focus();
}

function features() {
  return fields().map((field) => {
    const value = field.value.trim() === '' ? NaN : Number(field.value);
    const good = Number.isFinite(value);
    if (good) field.removeAttribute('aria-invalid');
    else field.setAttribute('aria-invalid', 'true');
    return value;
  });
}

function topK() {
  const value = Number($('top-k').value);
  if (!Number.isInteger(value) || value < 1 || value > 1000) {
    throw new InputError('Labels: a whole number from 1 to 1000.', $('top-k'));
  }
  return value;
}

const restoreTopK = ({top_k: labels}) => { if (/^\d{1,4}$/.test(labels)) $('top-k').value = labels; };

export function setCpu(value) {
  $('cpu').value = value;
  $('cpu-range').value = value;
}

/// request(model, picture): model is {} or {model, version}, picture a File or null. question() is what
/// a link brings again, null where it cannot; restore(question) fills the fields with it.
export const kKinds = {
  image: {
    tasks: ['image-classification', 'object-detection'], verb: 'Classify', ranked: true,
    request(model, picture) {
      if (!picture) throw new InputError('Choose, drop or paste a picture first.', $('pick'));
      return {method: 'POST', path: 'predict', query: {top_k: topK(), ...model},
              type: picture.type || 'application/octet-stream', file: picture};
    },
    question: (example) => (example ? {example, top_k: topK()} : null),
    restore: restoreTopK,
  },
  url: {
    tasks: ['image-classification', 'object-detection'], verb: 'Classify', ranked: true,
    request(model) {
      const url = $('url').value.trim();
      if (url === '') throw new InputError('Give the address of a picture.', $('url'));
      return {...jsonRequest('predict/url', {url, top_k: topK(), ...model}), shown: {thumbnail: true}};
    },
    question: () => ({url: $('url').value.trim(), top_k: topK()}),
    restore(question) {
      $('url').value = question.url ?? '';
      restoreTopK(question);
    },
  },
  numbers: {
    tasks: ['tabular-classification', 'tabular-regression'], verb: 'Classify', ranked: false,
    request(model) {
      const values = features();
      const wrong = values.findIndex((value) => !Number.isFinite(value));
      if (wrong >= 0) {
        const field = fields()[wrong];
        const what = field.value.trim() === '' ? 'is empty' : 'is not a number';
        throw new InputError(`x${wrong + 1} ${what}.`, field);
      }
      return jsonRequest('predict-single', {features: values, ...model});
    },
    question: () => ({x: fields().map((field) => field.value.trim()).join(' ')}),
    restore(question) {
      const values = (question.x ?? '').split(' ').filter((value) => value !== '').slice(0, kMostFields);
      if (values.length === 0) return;
      makeNumbers(values.length);
      spread(0, values);
    },
  },
  simulated: {
    tasks: ['simulated'], verb: 'Run', ranked: false,
    request(model) {
      const cpu = Number($('cpu').value);
      if ($('cpu').value === '' || !(cpu >= 0 && cpu <= 60000)) {
        throw new InputError('CPU time: a number from 0 to 60000.', $('cpu'));
      }
      return {method: 'GET', path: 'infer', query: {cpu_ms: cpu, ...model}};
    },
    question: () => ({cpu_ms: $('cpu').value, requests: $('burst').value}),
    restore(question) {
      if (/^\d{1,5}(\.\d+)?$/.test(question.cpu_ms)) setCpu(question.cpu_ms);
      if ([...$('burst').options].some((one) => one.value === question.requests)) $('burst').value = question.requests;
    },
  },
};
