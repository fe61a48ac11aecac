// Run inside the page by browser_test.py.

// Text whose contrast with what lies behind it is below WCAG AA, as sentences.
function lowContrast() {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const faults = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (text === '' || !element.checkVisibility() || element.closest('.vh, script, noscript, option')) continue;
    const style = getComputedStyle(element);
    const [a, b] = [luminance(rgba(element.namespaceURI.endsWith('svg') ? style.fill : style.color)), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if (ratio < needed) faults.push(`${ratio.toFixed(2)} < ${needed}: "${text.slice(0, 40)}"`);
  }
  return [...new Set(faults)];
}

// What a screen reader would trip over, as sentences.
function nameless() {
  const faults = [];
  const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
  for (const id of new Set(ids.filter((one, i) => ids.indexOf(one) !== i))) faults.push(`id ${id} twice`);
  for (const element of document.querySelectorAll('button, input, select, textarea, a, summary, [role=img]')) {
    const name = element.getAttribute('aria-label') || element.textContent.trim() || element.labels?.[0]?.textContent;
    if (!name) faults.push(`no name: ${element.outerHTML.slice(0, 80)}`);
  }
  for (const image of document.querySelectorAll('img:not([alt])')) faults.push(`no alt: ${image.outerHTML.slice(0, 80)}`);
  for (const name of ['aria-controls', 'aria-labelledby', 'aria-describedby']) {
    for (const element of document.querySelectorAll(`[${name}]`)) {
      if (!document.getElementById(element.getAttribute(name))) faults.push(`${name} leads nowhere: ${element.id}`);
    }
  }
  for (const element of document.querySelectorAll('[style]')) {
    if (!/^(--[\w-]+: [^;]+; ?)+$/.test(element.getAttribute('style'))) faults.push(`inline style: ${element.className}`);
  }
  return faults;
}

// Gives files to the page as a paste or a drop would.
function transfer(kind, name, type, base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, {type}));
  const event = kind === 'paste' ? new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true}) :
                                   new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true});
  document.body.dispatchEvent(event);
  return event.defaultPrevented;
}

function pasteText(id, text) {
  const data = new DataTransfer();
  data.setData('text/plain', text);
  document.getElementById(id).dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true}));
}

// Drops several files, [[name, type, base64], …].
function dropAll(files) {
  const data = new DataTransfer();
  for (const [name, type, base64] of files) {
    data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name, {type}));
  }
  document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
}

// An image element's pixels as an uncompressed BMP of 24 bits, in base64.
function bitmapOf(css) {
  const image = document.querySelector(css);
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const {data, width, height} = context.getImageData(0, 0, canvas.width, canvas.height);
  const row = Math.ceil((width * 3) / 4) * 4;
  const file = new Uint8Array(54 + row * height);
  const view = new DataView(file.buffer);
  file.set([0x42, 0x4d]);
  for (const [at, value] of [[2, file.length], [10, 54], [14, 40], [18, width], [22, height]]) view.setUint32(at, value, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const from = 4 * ((height - 1 - y) * width + x);
      file.set([data[from + 2], data[from + 1], data[from]], 54 + y * row + 3 * x);
    }
  }
  let text = '';
  for (const byte of file) text += String.fromCharCode(byte);
  return btoa(text);
}
