// The page's own logic: tabs, pictures, sending. What is sent is in inputs.js, what comes back in
// answer.js, the charts in live.js.

import {announce, busy, showAnswer, showEmpty, showError, showLinked, showSeveral} from './answer.js';
import {call, getJson, key, setKey} from './api.js';
import {$, h, ms, whole} from './dom.js';
import {clearNumbers, fillExample, InputError, kKinds, makeNumbers, setCpu} from './inputs.js';
import {linkTo, readLink} from './link.js';
import {Live} from './live.js';
import {example, imageOf, listenForPictures, redraw, showPreviews} from './pictures.js';

const kTabs = Object.keys(kKinds);
const kAtOnce = 4;
const kMostPictures = 50;
const kMostInAForm = 16;

let kind = 'image';
let pictures = [];       // Files
let exampleName = '';    // of the one picture, where it is an example
let linked = null;       // {model, version} that a link names, until /health says which serve
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

/// The address names a tab, or brings a question: then the form is filled, and nothing is asked.
async function followAddress() {
  const {kind: wanted, question} = readLink();
  if (!kTabs.includes(wanted)) return;
  const address = location.href;
  selectTab(wanted);
  if (!question) return;
  history.replaceState(null, '', address);
  showLinked(kKinds[wanted].verb, null);
  kKinds[wanted].restore(question);
  linked = question.model ? {model: question.model, version: question.version ?? ''} : null;
  if (!linked) $('model').value = '';
  showModels();
  const file = question.example ? await example(question.example).catch(() => null) : null;
  if (file) setPictures([file], question.example);
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
  if (linked && models.length > 0) chooseLinked(fitting);
  showFields();
}

function chooseLinked(fitting) {
  const wanted = linked;
  const found = fitting.find((model) => model.name === wanted.model && model.state === 'ready' &&
      (wanted.version === '' ? model.latest : model.version === wanted.version));
  linked = null;
  if (found) $('model').value = keyOf(found);
  else showLinked(kKinds[kind].verb, [wanted.model, wanted.version].filter(Boolean).join(' version '));
}

function showFields() {
  if (kind !== 'numbers' || models.length === 0) return;
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

function setPictures(files, name = '') {
  pictures = files;
  exampleName = name;
  showPreviews(files);
}

function takePictures(files, name = '') {
  selectTab('image');
  setPictures(files, name);
  send();
}

function takeUrl(url) {
  selectTab('url');
  $('url').value = url;
  $('url').focus();
}

/// 415 and 413 are about the file: what this browser can show of it may do.
async function callPicture(request, signal) {
  try {
    return {...await call(request, {signal}), request};
  } catch (error) {
    const drawn = error.status === 415 || error.status === 413 ? await redraw(request.file) : null;
    if (!drawn) throw error;
    const again = {...request, type: drawn.type, file: drawn};
    const note = `The server does not take ${request.file.name}: this browser made a JPEG of it.`;
    return {...await call(again, {signal}), request: again, note};
  }
}

// ---- sending

/// An image element of what was asked about, or null.
function pictureShown(request, answer) {
  if (request.file) return imageOf(request.file, 'img.asked');
  return answer.thumbnail ? h('img.asked', {src: answer.thumbnail, alt: ''}) : null;
}

/// Empties `work`, a list of functions that return promises, a few at once.
async function fewAtOnce(work) {
  const worker = async () => {
    for (let next = work.shift(); next; next = work.shift()) await next();
  };
  await Promise.all(Array.from({length: Math.min(kAtOnce, work.length)}, worker));
}

/// A request for each picture, and a row for each answer.
async function sendSeveral(controller) {
  if (pictures.length > kMostPictures) {
    throw new InputError(`${whole(pictures.length)} pictures: send ${kMostPictures} at a time.`, $('pick'));
  }
  const requests = pictures.map((file) => kKinds.image.request(chosenModel(), file));
  const form = requests.length <= kMostInAForm ? {...requests[0], type: null, file: null, files: pictures} : null;
  const {rows, progress} = showSeveral(
      pictures.map((file) => ({name: file.name, picture: imageOf(file, 'img.one-picture')})), form);
  const counts = {answered: 0, failed: 0};
  controller.signal.addEventListener('abort', () => rows.forEach((row) => row.left()));
  await fewAtOnce(requests.map((request, i) => async () => {
    try {
      const {data, request: asked, note} = await callPicture(request, controller.signal);
      rows[i].answered(data, {picture: imageOf(asked.file, 'img.asked'), note});
      counts.answered += 1;
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      rows[i].failed(error);
      counts.failed += 1;
      if (error.status === 401) throw error;
    }
    progress(counts.answered, counts.failed);
  }));
}

/// The k-th smallest share of `times`, nearest rank.
const quantile = (times, q) => times[Math.max(0, Math.ceil(q * times.length) - 1)];

/// The same request `count` times, a few at once: the last answer, and what the browser saw.
async function callMany(request, count, signal) {
  const times = [];
  let failure = null;
  let failures = 0;
  let last = null;
  await fewAtOnce(Array.from({length: count}, () => async () => {
    try {
      last = await call(request, {signal});
      times.push(last.ms);
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      failure = error;
      failures += 1;
    }
    $('answer-title').textContent = `Answer ${times.length + failures} of ${count}`;
  }));
  if (!last) throw failure;
  times.sort((a, b) => a - b);
  const summary = `${whole(times.length)} answered, ${whole(failures)} failed; as seen here p50 ${
      ms(quantile(times, 0.5))}, p99 ${ms(quantile(times, 0.99))}.`;
  return {...last, request, summary};
}

function callAny(request, signal) {
  const count = kind === 'simulated' ? Number($('burst').value) : 1;
  if (count > 1) return callMany(request, count, signal);
  return request.file ? callPicture(request, signal) : call(request, {signal});
}

/// A link that brings the question again, and the page's address then; null for a file of one's own.
function linkOf() {
  const question = kKinds[kind].question(exampleName);
  const link = question && linkTo(kind, {...question, ...chosenModel()});
  if (link) history.replaceState(null, '', link);
  return link;
}

function setSending(controller) {
  sending = controller;
  busy(controller !== null);
  $('send').textContent = controller ? 'Cancel' : kKinds[kind].verb;
  $('answer-title').textContent = 'Answer';
}

async function sendOne(controller, asked) {
  asked.request = kKinds[kind].request(chosenModel(), pictures[0] ?? null);
  const link = linkOf();
  const about = kind === 'url' ? $('url').value.trim() : '';
  const {data, ms: roundTrip, request = asked.request, note, summary} = await callAny(asked.request, controller.signal);
  if (sending !== controller) return;
  showAnswer(data, {request, roundTrip, picture: pictureShown(request, data), about, note, summary, link});
  reveal();
}

async function send() {
  sending?.abort();
  const controller = new AbortController();
  const asked = {request: null};
  try {
    setSending(controller);
    await (kind === 'image' && pictures.length > 1 ? sendSeveral(controller) : sendOne(controller, asked));
  } catch (error) {
    if (sending !== controller && sending !== null) return;  // another request took over
    controller.abort();  // what else is under way
    if (error.name === 'AbortError') {
      announce('Cancelled.');
    } else {
      showError(error, asked.request);
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
  window.addEventListener('hashchange', followAddress);
  followAddress();
  $('form').addEventListener('submit', onSubmit);
  $('model').addEventListener('change', showFields);
  $('example').addEventListener('click', fillExample);
  $('clear').addEventListener('click', clearNumbers);
  $('cpu-range').addEventListener('input', () => setCpu($('cpu-range').value));
  $('cpu').addEventListener('input', () => { $('cpu-range').value = $('cpu').value; });
  $('key').value = key();
  $('key-box').hidden = key() === '';
  $('key').addEventListener('input', () => setKey($('key').value.trim()));
  listenForPictures(takePictures, takeUrl);
  new Live(onHealth);
  showBuilt();
}

start();
