// Walks the AI SDK with its OpenAI-compatible provider over a Loom address: node ai.mjs BASE_URL MODEL. Prints one JSON object; any surprise is an exception.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, embedMany, generateText, streamText } from 'ai';

const [baseURL, model] = process.argv.slice(2);
const loom = createOpenAICompatible({ name: 'loom', baseURL, includeUsage: true });
const prompt = 'the weaver';
const result = {};

const whole = await generateText({ model: loom(model), prompt, maxOutputTokens: 8, seed: 7, maxRetries: 0 });
result.text = whole.text;
result.usage = whole.usage.outputTokens;
result.finish = whole.finishReason;

const stream = streamText({ model: loom(model), prompt, maxOutputTokens: 8, seed: 7, maxRetries: 0 });
let text = '';
for await (const piece of stream.textStream) text += piece;
result.streamed = text;
result.streamedUsage = (await stream.usage).outputTokens;

const { embeddings } = await embedMany({ model: loom.textEmbeddingModel(model), values: ['the loom', 'the cloth'], maxRetries: 0 });
result.norms = embeddings.map((e) => Math.hypot(...e));

const controller = new AbortController();
let beforeAbort = 0;
const aborted = streamText({ model: loom(model), prompt, maxOutputTokens: 400, abortSignal: controller.signal, maxRetries: 0, onError: () => {} });
for await (const part of aborted.fullStream) {
  if (part.type === 'text-delta' && ++beforeAbort === 3) controller.abort();
}
result.beforeAbort = beforeAbort;

try {
  await generateText({ model: loom('no-such-model'), prompt, maxRetries: 0 });
  throw new Error('an unknown model was answered');
} catch (e) {
  if (!APICallError.isInstance(e)) throw e;
  result.notFound = e.statusCode;
}

console.log(JSON.stringify(result));
