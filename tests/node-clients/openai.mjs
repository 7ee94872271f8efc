// Walks the OpenAI SDK over a Loom address: node walk.mjs BASE_URL MODEL. Prints one JSON object; any surprise is an exception and a non-zero exit.
import OpenAI from 'openai';

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: process.env.LOOM_TEST_KEY ?? 'unused', maxRetries: 0 });
const result = {};

const models = await client.models.list();
result.models = models.data.map((m) => m.id);
result.model = (await client.models.retrieve(model)).id;

const messages = [{ role: 'user', content: 'the weaver' }];
const chat = await client.chat.completions.create({ model, messages, max_tokens: 8, seed: 7 });
result.chat = chat.choices[0].message.content;
result.chatUsage = chat.usage.completion_tokens;

let text = '';
let pieces = 0;
let finish = null;
let usage = null;
const stream = await client.chat.completions.create({ model, messages, max_tokens: 8, seed: 7, stream: true, stream_options: { include_usage: true } });
for await (const chunk of stream) {
  const choice = chunk.choices[0];
  if (choice?.delta?.content) {
    text += choice.delta.content;
    pieces++;
  }
  finish = choice?.finish_reason ?? finish;
  usage = chunk.usage ?? usage;
}
Object.assign(result, { stream: text, pieces, finish, streamUsage: usage?.completion_tokens ?? null });

const completion = await client.completions.create({ model, prompt: 'the weaver', max_tokens: 4 });
result.completion = completion.choices[0].text;

const logprobs = await client.chat.completions.create({ model, messages, max_tokens: 2, logprobs: true, top_logprobs: 2 });
result.logprobs = logprobs.choices[0].logprobs.content.length;

const embeddings = await client.embeddings.create({ model, input: ['the loom', 'the cloth'], encoding_format: 'float' });
result.embeddings = embeddings.data.map((e) => e.embedding.length);
result.norm = Math.hypot(...embeddings.data[0].embedding);

const controller = new AbortController();
const aborted = await client.chat.completions.create({ model, messages, max_tokens: 400, stream: true }, { signal: controller.signal });
let beforeAbort = 0;
try {
  for await (const _ of aborted) {
    if (++beforeAbort === 3) controller.abort();
  }
} catch (e) {
  if (e.name !== 'AbortError' && !(e instanceof OpenAI.APIUserAbortError)) throw e;
}
result.beforeAbort = beforeAbort;

try {
  await client.chat.completions.create({ model: 'no-such-model', messages });
  throw new Error('an unknown model was answered');
} catch (e) {
  if (!(e instanceof OpenAI.NotFoundError)) throw e;
  result.notFound = e.code;
}

console.log(JSON.stringify(result));
