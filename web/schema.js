// JSON Schema, as much as the document uses, as words and tables.

import {h} from './dom.js';

function range(schema, low, high, unit) {
  const from = schema[low];
  const to = schema[high];
  if (from === undefined && to === undefined) return '';
  if (to === undefined) return from === 0 && unit === '' ? ', at least 0' : `, at least ${from}${unit}`;
  return from === undefined ? `, at most ${to}${unit}` : `, ${from} to ${to}${unit}`;
}

/// "integer, 1 to 1000, default 5", "array of Model"
export function typeOf(reference = {}, resolve) {
  const schema = resolve(reference);
  const name = reference.$ref?.split('/').at(-1);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === 'array') {
    return `array of ${typeOf(schema.items, resolve)}${range(schema, 'minItems', 'maxItems', ' items')}`;
  }
  if (name && schema.type === 'object') return name;
  let text = [schema.type ?? 'any'].flat().join(' or ');
  if (schema.contentEncoding) text += ` in ${schema.contentEncoding}`;
  else if (schema.contentMediaType) text = 'bytes';
  if (schema.format) text += ` (${schema.format})`;
  text += range(schema, 'minimum', 'maximum', '') + range(schema, 'minLength', 'maxLength', ' characters');
  if (schema.enum) text += `: ${schema.enum.join(', ')}`;
  if (schema.default !== undefined) text += `, default ${JSON.stringify(schema.default)}`;
  return text;
}

/// The object below a property: itself, or what an array holds.
function inner(reference, resolve) {
  const schema = resolve(reference);
  if (schema.type === 'array') return inner(schema.items, resolve);
  return schema.type === 'object' && schema.properties ? reference : null;
}

export function schemaTable(reference, resolve, prose, depth = 0) {
  const schema = resolve(reference);
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const below = depth < 4 ? inner(property, resolve) : null;
    return h('tr', {}, h('th', {scope: 'row'}, h('code', {}, name), required.has(name) ? null : h('span.small', {}, ' optional')),
      h('td', {}, h('span.small', {}, typeOf(property, resolve)), h('div', {}, prose(resolve(property).description)),
        below ? schemaTable(below, resolve, prose, depth + 1) : null));
  });
  if (rows.length === 0) return h('p.small', {}, prose(schema.description));
  return h('div.table-box', {}, h('table.schema', {}, h('tbody', {}, rows)));
}
