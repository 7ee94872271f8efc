import { Problem } from './problem.js';

// What the library's grammar builder honours; anything else would be dropped in silence.
const honoured = new Set([
  'type',
  'const',
  'enum',
  'oneOf',
  'properties',
  'required',
  'additionalProperties',
  'items',
  'prefixItems',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
  'minLength',
  'maxLength',
  'format',
  '$ref',
  '$defs',
  'description',
  'title',
  'default',
  'examples',
  '$schema',
]);
const formats = new Set(['date-time', 'time', 'date']);

/** Reads `response_format`: null for text, `{}` for any JSON object, `{ schema }` for a schema. */
export function readResponseFormat(fields) {
  if (!fields) return null;
  const type = fields.required('type');
  if (type === 'text' || type === 'json_object') {
    fields.end();
    return type === 'text' ? null : {};
  }
  if (type !== 'json_schema') throw Problem.invalid('response_format.type', "'response_format.type' must be 'text', 'json_object' or 'json_schema'");
  const inner = fields.object('json_schema');
  if (!inner) throw Problem.invalid('response_format.json_schema', "'response_format.json_schema' is required");
  inner.ignore('name', 'description', 'strict');
  const schema = inner.required('schema');
  inner.end();
  fields.end();
  checkSchema(schema, 'response_format.json_schema.schema');
  return { schema };
}

/** A fresh grammar state for one generation; null where the text is free. */
export async function createGrammar(llama, format) {
  if (!format) return null;
  try {
    return format.schema ? await llama.createGrammarForJsonSchema(format.schema) : await llama.getGrammarFor('json');
  } catch (error) {
    throw Problem.invalid('response_format', `no grammar can be made from the schema: ${error.message}`);
  }
}

function checkSchema(schema, path) {
  if (schema === null || typeof schema !== 'object' || Array.isArray(schema)) throw Problem.invalid(path, `'${path}' must be an object`);
  for (const key of Object.keys(schema)) {
    if (!honoured.has(key)) throw Problem.unsupported(`${path}.${key}`, `this engine cannot enforce '${key}' of a JSON schema`);
  }
  if (schema.format !== undefined && !formats.has(schema.format)) {
    throw Problem.unsupported(`${path}.format`, `this engine cannot enforce the format '${schema.format}'`);
  }
  if (schema.properties && schema.required && Object.keys(schema.properties).some((name) => !schema.required.includes(name))) {
    throw Problem.unsupported(`${path}.required`, 'this engine always writes every property; list all of them in required');
  }
  for (const group of [schema.properties, schema.$defs]) {
    for (const [name, inner] of Object.entries(group ?? {})) checkSchema(inner, `${path}.${name}`);
  }
  for (const list of [schema.oneOf, schema.prefixItems]) (list ?? []).forEach((inner, index) => checkSchema(inner, `${path}[${index}]`));
  for (const inner of [schema.items, schema.additionalProperties]) {
    if (inner !== undefined && typeof inner !== 'boolean') checkSchema(inner, path);
  }
}
