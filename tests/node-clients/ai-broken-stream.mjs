// node ai-broken-stream.mjs BASE_URL MODEL: a stream whose engine is killed; one that ends quietly is the failure.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { streamText } from 'ai';

const [baseURL, model] = process.argv.slice(2);
const loom = createOpenAICompatible({ name: 'loom', baseURL });
let pieces = 0;
let error = null;
const stream = streamText({ model: loom(model), prompt: 'go on', maxOutputTokens: 4000, maxRetries: 0, onError: (e) => (error ??= e.error) });
try {
  for await (const part of stream.fullStream) {
    if (part.type === 'text-delta') pieces++;
    if (part.type === 'error') error ??= part.error;
  }
} catch (e) {
  error ??= e;
}
console.log(JSON.stringify({ ended: error ? 'error' : 'quietly', pieces, message: String(error?.message ?? error) }));
