// The page's own logic: tabs, pictures, sending. What is sent is in inputs.js, what comes back in
// answer.js, the charts in live.js.

import {announce, busy, showAnswer, showEmpty, showError} from './answer.js';
import {call, getJson, key, setKey} from './api.js';
import {$, h, ms, whole} from './dom.js';
import {clearNumbers, fillExample, InputError, kKinds, makeNumbers} from './inputs.js';
import {Live} from './live.js';
import {drawSample} from './sample.js';

const kTabs = Object.keys(kKinds);
const kAtOnce = 4;

let kind = 'image';
let picture = null;      // File
let pictureUrl = '';     // blob: URL of it
let sending = null;      // AbortController
let models = [];         // of /health
let defaults = {};       // task → name

// ---- tabs

function selectTab(name, {focus = false} = {}) {
  kind = name;
  for (const tab of kTabs) {
    const button = $(`tab-${tab}`);
    button.setAttribute('aria-selected', String(tab === name));
    button.tabIndex = tab === name ? 0 : -1;
    $(`panel-${tab}`).hidden = tab !== name;
  }
  if (focus) $(`tab-${name}`).focus();
  $('top-k-box').hidden = !kKinds[name].ranked;
  if (!sending) $('send').textContent = kKinds[name].verb;
  history.replaceState(null, '', name === 'image' ? location.pathname + location.search : `#${name}`);
  showModels();
}

function tabFromAddress() {
  const wanted = location.hash.slice(1);
  if (kTabs.includes(wanted)) selectTab(wanted);
}

function onTabKey(event) {
  const at = kTabs.indexOf(kind);
  const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: kTabs.length - 1}[event.key];
  if (to === undefined) return;
  event.preventDefault();
  selectTab(kTabs[(to + kTabs.length) % kTabs.length], {focus: true});
}

// ---- models

function option(value, text, disabled = false) {
  return h('option', {value, disabled}, text);
}

/// Who answers where no model is picked: the server asks the first of these tasks that has a model.
const defaultName = () => kKinds[kind].tasks.map((task) => defaults[task]).find(Boolean);
const keyOf = (model) => JSON.stringify([model.name, model.version]);

function showModels() {
  const fitting = models.filter((model) => kKinds[kind].tasks.includes(model.task));
  const byDefault = defaultName() ? `Default: ${defaultName()}` : 'Default';
  const options = [option('', byDefault), ...fitting.map((model) => {
    const note = model.state !== 'ready' ? ` (${model.state})` : model.latest ? ' (latest)' : '';
    return option(keyOf(model), `${model.name}, version ${model.version}${note}`, model.state !== 'ready');
  })];
  // Rebuilding closes an open list: only when something changed.
  const shape = (list) => list.map((one) => `${one.value}|${one.textContent}|${one.disabled}`).join();
  const select = $('model');
  if (shape([...select.options]) !== shape(options)) {
    const before = select.value;
    select.replaceChildren(...options);
    select.value = options.some((one) => one.value === before && !one.disabled) ? before : '';
  }
  showFields();
}

function showFields() {
  if (kind !== 'numbers') return;
  const chosen = models.find((model) => keyOf(model) === $('model').value) ??
      models.find((model) => model.name === defaultName() && model.latest);
  const columns = chosen?.inputs?.[0]?.shape?.at(-1);
  makeNumbers(columns > 0 ? columns : undefined);
}

function chosenModel() {
  if ($('model').value === '') return {};
  const [model, version] = JSON.parse($('model').value);
  return {model, version};
}

function onHealth(health) {
  models = health.models ?? [];
  defaults = health.default_models ?? {};
  showModels();
}

// ---- pictures

function takePicture(file) {
  if (!file) return;
  selectTab('image');
  picture = file;
  if (pictureUrl) URL.revokeObjectURL(pictureUrl);
  pictureUrl = URL.createObjectURL(file);
  $('preview').src = pictureUrl;
  $('preview').alt = `The picture to classify: ${file.name}`;
  $('preview').hidden = false;
  $('drop-words').hidden = true;
  $('drop').classList.add('full');
  send();
}

function onPreviewError() {
  if (!pictureUrl) return;
  $('preview').hidden = true;
  $('drop-words').hidden = false;
  $('drop').classList.remove('full');
}

const imageIn = (transfer) => [...(transfer?.files ?? [])].find((file) => file.type.startsWith('image/')) ??
    transfer?.files?.[0];
const urlIn = (transfer) => {
  const text = (transfer?.getData('text/uri-list') || transfer?.getData('text/plain') || '').trim();
  return /^https?:\/\/\S+$/i.test(text) ? text : '';
};

/// A picture, or the address of one. True when there was either.
function takeTransfer(transfer) {
  const file = imageIn(transfer);
  if (file) {
    takePicture(file);
    return true;
  }
  const url = urlIn(transfer);
  if (!url) return false;
  selectTab('url');
  $('url').value = url;
  $('url').focus();
  return true;
}

function onPaste(event) {
  const typing = event.target instanceof HTMLInputElement && event.target.type !== 'range';
  if (typing && !imageIn(event.clipboardData)) return;
  if (takeTransfer(event.clipboardData)) event.preventDefault();
}

function listenForPictures() {
  $('pick').addEventListener('click', () => $('file').click());
  $('camera').addEventListener('click', () => $('camera-file').click());
  $('drop').addEventListener('click', () => $('file').click());
  for (const id of ['file', 'camera-file']) {
    $(id).addEventListener('change', (event) => {
      takePicture(event.target.files[0]);
      event.target.value = '';  // the same file may be picked again
    });
  }
  $('sample').addEventListener('click', async () => takePicture(await drawSample()));
  $('preview').addEventListener('error', onPreviewError);
  document.addEventListener('paste', onPaste);
  let depth = 0;  // dragenter and dragleave also come from children
  const mark = (change) => {
    depth = Math.max(0, change === 0 ? 0 : depth + change);
    document.body.classList.toggle('dragging', depth > 0);
  };
  window.addEventListener('dragenter', () => mark(1));
  window.addEventListener('dragleave', () => mark(-1));
  window.addEventListener('dragover', (event) => event.preventDefault());
  window.addEventListener('drop', (event) => {
    event.preventDefault();
    mark(0);
    takeTransfer(event.dataTransfer);
  });
}

// ---- sending

function pictureShown(request) {
  if (request.file) {
    // A URL of its own: the answer stays when another picture is picked.
    const url = URL.createObjectURL(request.file);
    const image = h('img.asked', {src: url, alt: ''});
    image.addEventListener('load', () => URL.revokeObjectURL(url));
    image.addEventListener('error', () => image.remove());
    return image;
  }
  if (request.path === 'predict/url') return h('p.asked-url', {}, JSON.parse(request.body).url);
  return null;
}

/// The k-th smallest share of `times`, nearest rank.
const quantile = (times, q) => times[Math.max(0, Math.ceil(q * times.length) - 1)];

/// The same request `count` times, a few at once: the last answer, and what the browser saw.
async function callMany(request, count, signal) {
  const times = [];
  let left = count;
  let failure = null;
  let failures = 0;
  let last = null;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      try {
        last = await call(request, {signal});
        times.push(last.ms);
      } catch (error) {
        if (error.name === 'AbortError') throw error;
        failure = error;
        failures += 1;
      }
      if (count > 1) $('answer-title').textContent = `Answer ${times.length + failures} of ${count}`;
    }
  };
  await Promise.all(Array.from({length: Math.min(kAtOnce, count)}, worker));
  if (!last) throw failure;
  times.sort((a, b) => a - b);
  const summary = count === 1 ? '' : `${whole(times.length)} answered, ${whole(failures)} failed; as seen here p50 ${
      ms(quantile(times, 0.5))}, p99 ${ms(quantile(times, 0.99))}.`;
  return {...last, summary};
}

function setSending(controller) {
  sending = controller;
  busy(controller !== null);
  $('send').textContent = controller ? 'Cancel' : kKinds[kind].verb;
  $('answer-title').textContent = 'Answer';
}

async function send() {
  sending?.abort();
  const controller = new AbortController();
  let request = null;
  try {
    request = kKinds[kind].request(chosenModel(), picture);
    setSending(controller);
    const count = kind === 'simulated' ? Number($('burst').value) : 1;
    const {data, ms: roundTrip, summary} = await callMany(request, count, controller.signal);
    if (sending !== controller) return;
    showAnswer(data, {request, roundTrip, picture: pictureShown(request), summary});
    reveal();
  } catch (error) {
    if (sending !== controller && sending !== null) return;  // another request took over
    if (error.name === 'AbortError') {
      announce('Cancelled.');
    } else {
      showError(error, request);
      if (error.status === 401) askForKey();
      else if (error instanceof InputError) error.field?.focus();
      else reveal();
    }
  } finally {
    if (sending === controller) setSending(null);
  }
}

/// Only servers that want one show the field.
function askForKey() {
  $('key-box').hidden = false;
  $('key').focus();
  $('key').select();
}

function onSubmit(event) {
  event.preventDefault();
  if (sending) {
    sending.abort();
    return;
  }
  send();
}

// ---- start

async function showBuilt() {
  try {
    const {data} = await getJson('version');
    const parts = [`PodSense ${data.version}`, data.commit && `commit ${data.commit.slice(0, 12)}`,
                   data.onnxruntime && `ONNX Runtime ${data.onnxruntime}`];
    $('built').textContent = parts.filter(Boolean).join(' · ');
  } catch {
    // The charts say that the server is away; this line is not worth a second message.
  }
}

/// On a phone the answer is below what was asked.
function reveal() {
  const card = $('answer');
  if (card.getBoundingClientRect().top > innerHeight * 0.7) card.scrollIntoView({block: 'start'});
}

function start() {
  showEmpty();
  makeNumbers();
  for (const tab of kTabs) {
    $(`tab-${tab}`).addEventListener('click', () => selectTab(tab));
    $(`tab-${tab}`).addEventListener('keydown', onTabKey);
  }
  window.addEventListener('hashchange', tabFromAddress);
  tabFromAddress();
  $('form').addEventListener('submit', onSubmit);
  $('model').addEventListener('change', showFields);
  $('example').addEventListener('click', fillExample);
  $('clear').addEventListener('click', clearNumbers);
  $('cpu-range').addEventListener('input', () => { $('cpu').value = $('cpu-range').value; });
  $('cpu').addEventListener('input', () => { $('cpu-range').value = $('cpu').value; });
  $('key').value = key();
  $('key-box').hidden = key() === '';
  $('key').addEventListener('input', () => setKey($('key').value.trim()));
  listenForPictures();
  new Live(onHealth);
  showBuilt();
}

start();
