// node broken-stream.mjs BASE_URL MODEL: streams until the engine is killed by the test; a stream that ends quietly is the failure.
import OpenAI from 'openai';

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: 'unused', maxRetries: 0 });
let pieces = 0;
try {
  const stream = await client.chat.completions.create({ model, messages: [{ role: 'user', content: 'go on' }], max_tokens: 4000, stream: true });
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta?.content && ++pieces === 3) console.log('streaming');
  }
  console.log(JSON.stringify({ ended: 'quietly', pieces }));
} catch (e) {
  console.log(JSON.stringify({ ended: 'error', pieces, name: e.constructor.name, message: e.message }));
}
