import { Fields } from './fields.js';
import { Problem } from './problem.js';
import { readSampling } from './sampling.js';
import { readResponseFormat } from './format.js';

const roles = ['system', 'developer', 'user', 'assistant'];

export function readChat(body) {
  const fields = new Fields(body);
  const request = readSampling(fields);
  request.messages = readMessages(fields.required('messages'));
  request.maxTokens = readMaxTokens(fields, 'max_completion_tokens', 'max_tokens');
  const logprobs = fields.boolean('logprobs', false);
  const top = fields.integer('top_logprobs', 0, 20, undefined);
  if (top !== undefined && !logprobs) throw Problem.invalid('top_logprobs', "'top_logprobs' needs 'logprobs': true");
  request.topLogprobs = logprobs ? (top ?? 0) : null;
  request.format = readResponseFormat(fields.object('response_format'));
  fields.lacks('tools', (tools) => Array.isArray(tools) && tools.length === 0);
  fields.lacks('tool_choice', (choice) => choice === 'none' || choice === 'auto');
  fields.lacks('store', (store) => store === false);
  fields.lacks('modalities', (list) => Array.isArray(list) && list.every((kind) => kind === 'text'));
  fields.ignore('parallel_tool_calls');
  fields.end();
  return request;
}

export function readCompletion(body) {
  const fields = new Fields(body);
  const request = readSampling(fields);
  request.prompt = readPrompt(fields.required('prompt'));
  request.maxTokens = readMaxTokens(fields, 'max_tokens');
  request.topLogprobs = fields.integer('logprobs', 0, 20, null);
  request.format = readResponseFormat(fields.object('response_format'));
  fields.lacks('best_of', (count) => count === 1);
  fields.lacks('echo', (echo) => echo === false);
  fields.lacks('suffix', (suffix) => suffix === '');
  fields.end();
  return request;
}

export function readEmbedding(body) {
  const fields = new Fields(body);
  const input = fields.required('input');
  const request = { inputs: readInputs(input), encoding: fields.oneOf('encoding_format', ['float', 'base64'], 'float') };
  fields.ignore('model', 'user');
  fields.end();
  return request;
}

function readMaxTokens(fields, ...names) {
  const values = names.map((name) => fields.integer(name, 1, 2 ** 31 - 1, undefined));
  return values.find((value) => value !== undefined) ?? null;
}

function readMessages(messages) {
  if (!Array.isArray(messages) || messages.length === 0) throw Problem.invalid('messages', "'messages' must be a list of at least one message");
  return messages.map((message, index) => {
    const path = `messages[${index}]`;
    if (message === null || typeof message !== 'object') throw Problem.invalid(path, `'${path}' must be an object`);
    const fields = new Fields(message, path);
    const role = fields.required('role');
    if (role === 'tool' || role === 'function') throw Problem.unsupported(`${path}.role`, `this engine does not support messages of role '${role}'`);
    if (!roles.includes(role)) throw Problem.invalid(`${path}.role`, `'${path}.role' must be one of ${roles.join(', ')}`);
    const content = readContent(fields.required('content'), `${path}.content`);
    fields.ignore('name', 'refusal', 'annotations');
    fields.lacks('tool_calls', (calls) => Array.isArray(calls) && calls.length === 0);
    fields.end();
    return { role: role === 'developer' ? 'system' : role, content };
  });
}

function readContent(content, path) {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw Problem.invalid(path, `'${path}' must be a text or a list of parts`);
  return content
    .map((part, index) => {
      const partPath = `${path}[${index}]`;
      if (part?.type !== 'text') throw Problem.unsupported(`${partPath}.type`, `this engine takes only parts of type 'text', not '${part?.type}'`);
      if (typeof part.text !== 'string') throw Problem.invalid(`${partPath}.text`, `'${partPath}.text' must be a text`);
      return part.text;
    })
    .join('');
}

const isTokens = (value) => Array.isArray(value) && value.length > 0 && value.every((token) => Number.isSafeInteger(token) && token >= 0);

function readPrompt(prompt) {
  if (Array.isArray(prompt) && prompt.length > 1 && !isTokens(prompt)) throw Problem.unsupported('prompt', 'this engine takes one prompt a request');
  const single = Array.isArray(prompt) && !isTokens(prompt) ? prompt[0] : prompt;
  if (typeof single !== 'string' && !isTokens(single)) throw Problem.invalid('prompt', "'prompt' must be a text or a list of token ids");
  return single;
}

function readInputs(input) {
  const inputs = Array.isArray(input) && !isTokens(input) ? input : [input];
  inputs.forEach((one, index) => {
    const valid = typeof one === 'string' ? one !== '' : isTokens(one);
    if (!valid) throw Problem.invalid(inputs.length > 1 ? `input[${index}]` : 'input', 'an input must be a text that is not empty, or a list of token ids');
  });
  if (inputs.length === 0) throw Problem.invalid('input', "'input' is empty");
  return inputs;
}
