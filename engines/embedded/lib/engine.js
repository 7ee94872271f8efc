import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
import { ChatTemplate } from './template.js';
import { Embedder } from './embeddings.js';
import { Metrics } from './metrics.js';
import { Slots } from './slots.js';

const smallModelBytes = 64 * 1024 * 1024;

/** One loaded model with its slots. */
export class Engine {
  /** Loads the model; `progress` hears numbers from 0 to 1. The library may neither download nor compile. */
  static async load(options, progress, log) {
    const bytes = statSync(options.model).size;
    const threads = chooseThreads(options.threads, bytes, log);
    const llama = await getLlama({
      gpu: false,
      build: 'never',
      skipDownload: true,
      progressLogs: false,
      maxThreads: threads,
      logLevel: log.threshold,
      logger: (level, message) => log.write(level, message.trimEnd()),
    });
    const model = await llama.loadModel({ modelPath: options.model, gpuLayers: 0, onLoadProgress: progress });
    const contextLength = chooseContext(options.ctx, model.trainContextSize, log);
    const metrics = new Metrics();
    const batchSize = Math.min(512, contextLength * options.slots);
    const context = await model.createContext({
      contextSize: contextLength,
      sequences: options.slots,
      threads,
      batchSize,
      flashAttention: bytes < smallModelBytes ? false : 'auto', // costs a small model more than it saves
      batching: { itemPrioritizationStrategy: (batch) => shareBatch(batch, metrics) },
    });
    return new Engine({ options, llama, model, context, contextLength, batchSize, threads, metrics, bytes });
  }

  constructor({ options, llama, model, context, contextLength, batchSize, threads, metrics, bytes }) {
    const metadata = model.fileInfo.metadata;
    Object.assign(this, { llama, model, contextLength, batchSize, threads, metrics, bytes });
    this.id = options.id ?? basename(options.model, '.gguf');
    this.created = Math.floor(Date.now() / 1000);
    this.description = metadata.general?.description ?? null;
    this.fingerprint = `llama.cpp-${llama.llamaCppRelease.release}`;
    this.slots = new Slots(context, options.slots);
    this.template = new ChatTemplate(metadata.tokenizer?.chat_template, model.tokens);
    this.embedder = new Embedder(model, contextLength, threads);
  }

  /** Tokens of a text as the model wants to begin reading it. */
  tokenize(text, specialTokens) {
    const tokens = this.model.tokenize(text, specialTokens);
    const { bos, shouldPrependBosToken } = this.model.tokens;
    return shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens;
  }
}

function chooseThreads(wanted, bytes, log) {
  const cores = availableParallelism();
  const threads = bytes < smallModelBytes ? 1 : Math.min(wanted, cores);
  if (threads !== wanted)
    log.write(LlamaLogLevel.info, `${threads} thread(s) instead of ${wanted}: ${threads === 1 ? 'the model is small' : `${cores} cores are usable`}`);
  return threads;
}

function chooseContext(wanted, trained, log) {
  const length = Math.min(wanted ?? 8192, trained);
  if (wanted !== undefined && length !== wanted)
    log.write(LlamaLogLevel.warn, `context of ${length} tokens instead of ${wanted}: the model was made for ${trained}`);
  return length;
}

/** One token for every running generation first, then prompts share the rest of the batch. */
function shareBatch({ items, size }, metrics) {
  const result = items.filter((item) => item.tokens.length === 1).map((item) => ({ item, processAmount: 1 }));
  const prompts = items.filter((item) => item.tokens.length > 1);
  let left = size - result.length;
  prompts.forEach((item, index) => {
    const processAmount = Math.min(item.tokens.length, Math.floor(left / (prompts.length - index)));
    left -= processAmount;
    if (processAmount > 0) result.push({ item, processAmount });
  });
  metrics.decoded(result.length);
  return result;
}
