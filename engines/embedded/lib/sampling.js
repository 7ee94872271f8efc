import { randomInt } from 'node:crypto';
import { TokenBias } from 'node-llama-cpp';
import { Problem } from './problem.js';

/** Reads what chat and plain completions have in common. Defaults are llama-server's. */
export function readSampling(fields) {
  const sampling = {
    temperature: fields.number('temperature', 0, 2, 0.8),
    topP: fields.number('top_p', 0, 1, 0.95),
    topK: fields.integer('top_k', 0, 1_000_000, 40),
    minP: fields.number('min_p', 0, 1, 0.05),
    seed: readSeed(fields),
    frequencyPenalty: fields.number('frequency_penalty', -2, 2, 0),
    presencePenalty: fields.number('presence_penalty', -2, 2, 0),
    logitBias: readLogitBias(fields.any('logit_bias')),
    stop: readStop(fields.any('stop')),
    stream: fields.boolean('stream', false),
    includeUsage: false,
  };
  const streamOptions = fields.object('stream_options');
  if (streamOptions) {
    if (!sampling.stream) throw Problem.invalid('stream_options', "'stream_options' needs 'stream': true");
    sampling.includeUsage = streamOptions.boolean('include_usage', false);
    streamOptions.ignore('include_obfuscation');
    streamOptions.end();
  }
  fields.lacks('n', (n) => n === 1);
  fields.ignore('model', 'user', 'metadata', 'service_tier', 'safety_identifier', 'prompt_cache_key');
  return sampling;
}

/** The library's options for one generation. `generated` is the live list of tokens so far. */
export function evaluateOptions(sampling, model, grammarState, generated, maxTokens) {
  const penalised = sampling.frequencyPenalty !== 0 || sampling.presencePenalty !== 0;
  return {
    temperature: sampling.temperature,
    topP: sampling.topP,
    topK: sampling.topK,
    minP: sampling.minP,
    seed: sampling.seed,
    grammarEvaluationState: grammarState,
    tokenBias: tokenBias(sampling.logitBias, model),
    repeatPenalty: penalised
      ? {
          punishTokens: () => generated,
          maxPunishTokens: maxTokens,
          penalty: 1,
          frequencyPenalty: sampling.frequencyPenalty,
          presencePenalty: sampling.presencePenalty,
        }
      : undefined,
    yieldEogToken: true,
  };
}

function readSeed(fields) {
  const seed = fields.integer('seed', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, undefined);
  return seed === undefined ? randomInt(2 ** 32) : Number(BigInt.asUintN(32, BigInt(seed)));
}

function readStop(value) {
  if (value === undefined) return [];
  const stops = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(stops) || stops.length > 16 || stops.some((stop) => typeof stop !== 'string' || stop === '')) {
    throw Problem.invalid('stop', "'stop' must be a text or at most 16 texts, none of them empty");
  }
  return stops;
}

function readLogitBias(value) {
  if (value === undefined) return [];
  const entries = typeof value === 'object' && !Array.isArray(value) ? Object.entries(value) : null;
  if (!entries || entries.some(([token, bias]) => !/^\d{1,9}$/.test(token) || typeof bias !== 'number' || bias < -100 || bias > 100)) {
    throw Problem.invalid('logit_bias', "'logit_bias' must map token ids to numbers from -100 to 100");
  }
  return entries.map(([token, bias]) => [Number(token), bias]);
}

function tokenBias(entries, model) {
  if (entries.length === 0) return undefined;
  const bias = TokenBias.for(model);
  const vocabulary = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
  for (const [token, value] of entries) {
    if (token >= vocabulary) throw Problem.invalid('logit_bias', `'logit_bias' names token ${token}, but the model has only ${vocabulary}`);
    bias._biases.set(token, value); // `set` leaves end tokens out without a word
  }
  return bias;
}
