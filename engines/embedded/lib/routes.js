import { generate } from './generate.js';
import { Problem } from './problem.js';
import { readChat, readCompletion, readEmbedding } from './requests.js';
import { chat, plain } from './shapes.js';

/** All routes. `current()` gives `{ engine, progress }`; the engine is null while the model loads. */
export function createRoutes(current) {
  const ready = () => {
    const { engine, progress } = current();
    if (!engine) throw Problem.unavailable(`the model is loading (${Math.round(progress * 100)} %)`);
    return engine;
  };
  return {
    'GET /health': async (exchange) => {
      const { engine, progress } = current();
      exchange.send(engine ? 200 : 503, engine ? { status: 'ok' } : { status: 'loading', progress });
    },
    'GET /v1/models': async (exchange) => exchange.send(200, modelList(ready())),
    'GET /slots': async (exchange) => exchange.send(200, slotList(ready())),
    'GET /metrics': async (exchange) => {
      const engine = ready();
      exchange.sendText(engine.metrics.text(engine.slots));
    },
    'POST /v1/chat/completions': async (exchange) => {
      const engine = ready();
      const request = readChat(await exchange.json());
      const tokens = engine.tokenize(engine.template.render(request.messages), true);
      await answer(exchange, engine, chat, tokens, request);
    },
    'POST /v1/completions': async (exchange) => {
      const engine = ready();
      const request = readCompletion(await exchange.json());
      await answer(exchange, engine, plain, tokensOf(engine, request.prompt, 'prompt'), request);
    },
    'POST /v1/embeddings': async (exchange) => {
      const engine = ready();
      const request = readEmbedding(await exchange.json());
      const { vectors, tokens } = await engine.embedder.embed(
        request.inputs.map((input) => tokensOf(engine, input, 'input')),
        exchange.signal,
      );
      exchange.send(200, embeddingList(engine, vectors, tokens, request.encoding));
    },
  };
}

async function answer(exchange, engine, shape, tokens, request) {
  const head = {
    id: shape.newId(),
    object: request.stream ? shape.chunkObject : shape.object,
    created: Math.floor(Date.now() / 1000),
    model: engine.id,
    system_fingerprint: engine.fingerprint,
  };
  const generation = generate(engine, tokens, request, exchange.signal);
  await (request.stream ? stream(exchange, generation, shape, head, request) : collect(exchange, generation, shape, head, request));
}

async function collect(exchange, generation, shape, head, request) {
  let text = '';
  const logprobs = [];
  let step;
  while (!(step = await generation.next()).done) {
    text += step.value.text;
    logprobs.push(...step.value.logprobs);
  }
  const { finishReason, usage, timings } = step.value;
  exchange.send(200, { ...head, choices: [shape.choice(text, request.topLogprobs === null ? null : logprobs, finishReason)], usage, timings });
}

async function stream(exchange, generation, shape, head, request) {
  const chunk = (choice, extra) => exchange.event(JSON.stringify({ ...head, choices: choice ? [choice] : [], ...extra }));
  let begun = shape.first === null;
  try {
    let step;
    while (!(step = await generation.next()).done) {
      if (!begun) await chunk(shape.chunkChoice(shape.first, null, null));
      begun = true;
      await chunk(shape.chunkChoice(shape.delta(step.value.text), request.topLogprobs === null ? null : step.value.logprobs, null));
    }
    const { finishReason, usage, timings } = step.value;
    if (!begun) await chunk(shape.chunkChoice(shape.first, null, null));
    await chunk(shape.chunkChoice(shape.emptyDelta, null, finishReason), { timings });
    if (request.includeUsage) await chunk(null, { usage });
    exchange.endEvents();
  } finally {
    await generation.return(); // a client that left while it did not read: free the slot
  }
}

function tokensOf(engine, input, param) {
  if (typeof input === 'string') return engine.tokenize(input, false);
  const vocabulary = engine.model.fileInfo.metadata.tokenizer.ggml.tokens.length;
  const unknown = input.find((token) => token >= vocabulary);
  if (unknown !== undefined) throw Problem.invalid(param, `token ${unknown} does not exist; the model has ${vocabulary}`);
  return input;
}

function modelList(engine) {
  const { model } = engine;
  return {
    object: 'list',
    data: [
      {
        id: engine.id,
        object: 'model',
        created: engine.created,
        owned_by: 'loom',
        description: engine.description,
        capabilities: { chat: engine.template.exists, completions: true, embeddings: true, logprobs: 'post_sampling' },
        meta: {
          n_vocab: model.fileInfo.metadata.tokenizer.ggml.tokens.length,
          n_ctx: engine.contextLength,
          n_ctx_train: model.trainContextSize,
          n_embd: model.embeddingVectorSize,
          size: model.size,
        },
      },
    ],
  };
}

function slotList(engine) {
  return engine.slots.all.map((slot) => ({
    id: slot.id,
    id_task: slot.task,
    n_ctx: engine.contextLength,
    is_processing: slot.busy,
    n_past: slot.sequence.nextTokenIndex,
    next_token: { n_decoded: slot.decoded },
  }));
}

function embeddingList(engine, vectors, tokens, encoding) {
  const encode = (vector) => (encoding === 'base64' ? Buffer.from(vector.buffer).toString('base64') : Array.from(vector));
  return {
    object: 'list',
    data: vectors.map((vector, index) => ({ object: 'embedding', index, embedding: encode(vector) })),
    model: engine.id,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}
