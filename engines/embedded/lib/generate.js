import { LlamaGrammarEvaluationState } from 'node-llama-cpp';
import { createGrammar } from './format.js';
import { Problem } from './problem.js';
import { evaluateOptions } from './sampling.js';
import { Detokenizer, StopMatcher } from './text.js';

/**
 * Generates for one prompt. Yields `{ text, logprobs }` as text becomes safe to send, and returns `{ finishReason, usage, timings }`.
 * When `signal` fires it stops before the next token; the slot is free once the native call in progress has returned.
 */
export async function* generate(engine, tokens, request, signal) {
  const param = request.messages ? 'messages' : 'prompt';
  if (tokens.length === 0) throw Problem.invalid(param, 'the prompt is empty, and this model has no token to begin with');
  const room = engine.contextLength - tokens.length;
  const maxTokens = request.maxTokens ?? room;
  if (room < 1 || maxTokens > room) throw Problem.contextLength(engine.contextLength, tokens.length, request.maxTokens, param);

  const grammar = await createGrammar(engine.llama, request.format);
  const generated = [];
  const grammarState = grammar && new LlamaGrammarEvaluationState({ model: engine.model, grammar });
  const options = evaluateOptions(request, engine.model, grammarState, generated, maxTokens);
  const slot = await engine.slots.acquire(tokens, signal);
  let started;
  try {
    const prompt = await readPrompt(engine, slot, tokens, signal);
    const output = new Output(engine.model, tokens, request, grammar);
    let finishReason = 'length';
    const metadata = { probabilities: request.topLogprobs !== null };
    for await (const step of slot.sequence.evaluateWithMetadata(prompt.rest, metadata, options)) {
      if (started === undefined) {
        started = prompt.done();
        engine.metrics.prompt(tokens.length - prompt.cached, prompt.milliseconds);
      }
      signal.throwIfAborted();
      if (engine.model.isEogToken(step.token)) {
        finishReason = 'stop';
        break;
      }
      generated.push(step.token);
      slot.decoded = generated.length;
      const piece = output.push(step);
      if (piece.text !== '') yield piece;
      if (output.stopped) finishReason = 'stop';
      if (output.stopped || generated.length >= maxTokens) break;
      signal.throwIfAborted();
    }
    const last = output.flush();
    if (last.text !== '' || last.logprobs.length > 0) yield last;
    return { finishReason, ...summarize(tokens.length, prompt, generated.length, performance.now() - started) };
  } catch (error) {
    if (!signal.aborted) await slot.sequence.clearHistory();
    throw error;
  } finally {
    if (started !== undefined) engine.metrics.output(generated.length, performance.now() - started);
    engine.slots.release(slot);
  }
}

/** Puts the prompt into the sequence up to its last tokens, in pieces short enough that a client who leaves is noticed in time. */
async function readPrompt(engine, slot, tokens, signal) {
  const started = performance.now();
  const pieces = engine.slots.exact ? new EqualPieces() : new TimedPieces(engine.batchSize);
  await slot.sequence.adaptStateToTokens(tokens.slice(0, pieces.reusable(slot, tokens)), false);
  const cached = slot.sequence.nextTokenIndex;
  slot.exactLength = Math.min(slot.exactLength, cached);
  let at = cached;
  while (tokens.length - at > pieces.size) {
    signal.throwIfAborted();
    const before = performance.now();
    const size = pieces.size;
    await slot.sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(at, at + size));
    at += size;
    slot.exactLength = at;
    pieces.took(performance.now() - before);
  }
  signal.throwIfAborted();
  const done = () => {
    const now = performance.now();
    prompt.milliseconds = now - started;
    return now;
  };
  const prompt = { rest: tokens.slice(at), cached, milliseconds: 0, done };
  return prompt;
}

/** Pieces that take about a tenth of a second on any machine; everything cached is used again. */
class TimedPieces {
  size = 32;
  #max;

  constructor(max) {
    this.#max = max;
  }

  reusable(slot, tokens) {
    return tokens.length - 1;
  }

  took(milliseconds) {
    if (milliseconds < 80) this.size = Math.min(this.size * 2, this.#max);
    else if (milliseconds > 200) this.size = Math.max(this.size / 2, 16); // smaller ones would read noticeably slower
  }
}

/**
 * Pieces of 32 tokens counted from the beginning. A number computed in another piece, or one token at a time, differs in its last bits; with equal pieces the same
 * prompt gives the same bits whatever was cached, so the same seed gives the same tokens.
 */
class EqualPieces {
  size = 32;

  reusable(slot, tokens) {
    const common = slot.sequence.compareContextTokens(tokens.slice(0, -1)).firstDifferentIndex;
    return Math.floor(Math.min(common, slot.exactLength) / this.size) * this.size;
  }

  took() {}
}

/** Text and log probabilities of the tokens so far, given out together as soon as no stop text can swallow them. */
class Output {
  #detokenizer;
  #stops;
  #model;
  #topLogprobs;
  #entries = [];
  #received = 0;
  #sent = 0;
  stopped = false;

  constructor(model, promptTokens, request, grammar) {
    this.#model = model;
    this.#topLogprobs = request.topLogprobs;
    this.#detokenizer = new Detokenizer(model, promptTokens);
    // A JSON grammar may allow line breaks for ever after the value; the library ends there too.
    this.#stops = new StopMatcher(grammar ? [...request.stop, '\n\n\n\n'] : request.stop);
  }

  push({ token, probabilities }) {
    const text = this.#detokenizer.push(token);
    if (this.#topLogprobs !== null) this.#entries.push({ at: this.#received, ...this.#logprob(token, probabilities) });
    this.#received += text.length;
    const safe = this.#stops.push(text);
    this.stopped = safe.stopped;
    return this.#release(safe.text, false);
  }

  flush() {
    return this.stopped ? { text: '', logprobs: [] } : this.#release(this.#stops.push(this.#detokenizer.flush()).text + this.#stops.flush(), true);
  }

  #release(text, all) {
    this.#sent += text.length;
    const count = all ? -1 : this.#entries.findIndex((entry) => entry.at >= this.#sent);
    return { text, logprobs: this.#entries.splice(0, count < 0 ? this.#entries.length : count) };
  }

  #logprob(token, probabilities) {
    const top = [];
    for (const [id, probability] of probabilities) {
      if (top.length >= this.#topLogprobs || probability <= 0) break;
      top.push({ token: this.#text(id), logprob: Math.log(probability) });
    }
    return { token: this.#text(token), logprob: Math.log(probabilities.get(token)), top };
  }

  #text(token) {
    return this.#model.detokenize([token], true);
  }
}

function summarize(promptTokens, prompt, outputTokens, milliseconds) {
  const evaluated = promptTokens - prompt.cached;
  return {
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: outputTokens,
      total_tokens: promptTokens + outputTokens,
      prompt_tokens_details: { cached_tokens: prompt.cached },
    },
    timings: {
      cache_n: prompt.cached,
      prompt_n: evaluated,
      prompt_ms: round(prompt.milliseconds),
      prompt_per_second: rate(evaluated, prompt.milliseconds),
      predicted_n: outputTokens,
      predicted_ms: round(milliseconds),
      predicted_per_second: rate(outputTokens, milliseconds),
    },
  };
}

const round = (value) => Math.round(value * 1000) / 1000;
const rate = (count, milliseconds) => (milliseconds > 0 ? round((count * 1000) / milliseconds) : 0);
