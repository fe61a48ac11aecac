// Where pictures come from: files, drops, pastes, the camera, the examples; and what this browser can
// make of one that the server does not take.

import {$, h, whole} from './dom.js';
import {drawSample} from './sample.js';

const kShown = 11;       // previews of several, and a tile that counts the rest
const kMostSide = 4096;  // of a picture that is drawn anew
const kExamples = ['cat', 'espresso', 'rocket'];

/// What a paste or a drop holds: pictures where there are any, else whatever files there are.
export function filesIn(transfer) {
  const files = [...(transfer?.files ?? [])];
  const pictures = files.filter((file) => file.type.startsWith('image/'));
  return pictures.length > 0 ? pictures : files;
}

export function urlIn(transfer) {
  const text = (transfer?.getData('text/uri-list') || transfer?.getData('text/plain') || '').trim();
  return /^https?:\/\/\S+$/i.test(text) ? text : '';
}

/// An image element for a file; `then(image)` runs once it is loaded and its address given back.
export function imageOf(file, selector, {then = () => {}, otherwise = (image) => image.remove()} = {}) {
  const url = URL.createObjectURL(file);
  const image = h(selector, {src: url, alt: ''});
  image.addEventListener('load', () => {
    URL.revokeObjectURL(url);
    then(image);
  }, {once: true});
  image.addEventListener('error', () => {
    URL.revokeObjectURL(url);
    otherwise(image);
  }, {once: true});
  return image;
}

// ---- previews

function showWords() {
  $('previews').replaceChildren();
  $('previews').hidden = true;
  $('drop-words').hidden = false;
  $('drop').classList.remove('full');
}

export function showPreviews(files) {
  const one = files.length === 1;
  const shown = files.length > kShown + 1 ? files.slice(0, kShown) : files;
  const images = shown.map((file) => {
    const image = imageOf(file, 'img.preview', {otherwise: (broken) => {
      if (one) showWords();
      else broken.replaceWith(h('span.preview', {}, file.name));
    }});
    image.alt = one ? `The picture to classify: ${file.name}` : file.name;
    return image;
  });
  const rest = files.length - shown.length;
  $('previews').replaceChildren(...images, ...(rest > 0 ? [h('span.preview', {}, `and ${whole(rest)} more`)] : []));
  $('previews').classList.toggle('several', !one);
  $('previews').hidden = false;
  $('drop-words').hidden = true;
  $('drop').classList.add('full');
}

// ---- by canvas

const jpegOf = (canvas) => new Promise((resolve) => { canvas.toBlob(resolve, 'image/jpeg', 0.92); });

function canvasOf(image, side) {
  // A drawing may have no size of its own.
  const [width, height] = [image.naturalWidth || 512, image.naturalHeight || 512];
  const scale = Math.min(1, side / Math.max(width, height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext('2d');
  context.fillStyle = '#ffffff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/// The picture as a JPEG that this browser draws, of 4096 pixels a side at most; null where it cannot
/// show the file either.
export async function redraw(file) {
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const blob = await jpegOf(canvasOf(image, kMostSide));
    return blob && new File([blob], `${file.name.replace(/\.[^.]*$/, '')}.jpg`, {type: 'image/jpeg'});
  } catch {
    return null;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/// In place of an animation its first frame, which is what a canvas draws of one.
export function standStill(image) {
  if (!image.naturalWidth) return;
  const canvas = canvasOf(image, Math.max(image.naturalWidth, image.naturalHeight));
  canvas.className = image.className;
  image.replaceWith(canvas);
}

// ---- sources

/// A File, or null where there is no such example.
export async function example(name) {
  if (!kExamples.includes(name)) return null;
  const answer = await fetch(`example-${name}.jpg`);
  if (!answer.ok) return null;
  return new File([await answer.blob()], `${name}.jpg`, {type: 'image/jpeg'});
}

function listenForDrops(take) {
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
    take(event.dataTransfer);
  });
}

/// `onPictures(files, example)`; `onUrl(address)`.
export function listenForPictures(onPictures, onUrl) {
  /// True when there was either.
  const take = (transfer) => {
    const files = filesIn(transfer);
    const url = files.length > 0 ? '' : urlIn(transfer);
    if (files.length > 0) onPictures(files);
    else if (url) onUrl(url);
    return files.length > 0 || url !== '';
  };
  $('pick').addEventListener('click', () => $('file').click());
  $('camera').addEventListener('click', () => $('camera-file').click());
  $('drop').addEventListener('click', () => $('file').click());
  for (const id of ['file', 'camera-file']) {
    $(id).addEventListener('change', (event) => {
      const files = [...event.target.files];
      event.target.value = '';  // the same file may be picked again
      if (files.length > 0) onPictures(files);
    });
  }
  $('sample').addEventListener('click', async () => onPictures([await drawSample()]));
  for (const name of kExamples) {
    $(`example-${name}`).addEventListener('click', async () => {
      const file = await example(name).catch(() => null);
      if (file) onPictures([file], name);
    });
  }
  document.addEventListener('paste', (event) => {
    const typing = event.target instanceof HTMLInputElement && event.target.type !== 'range';
    if (typing && filesIn(event.clipboardData).length === 0) return;
    if (take(event.clipboardData)) event.preventDefault();
  });
  listenForDrops(take);
}
