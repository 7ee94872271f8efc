// Walks the Anthropic SDK over a Loom address: node anthropic.mjs BASE MODEL. Prints one JSON object; any surprise is an exception.
import Anthropic from '@anthropic-ai/sdk';

const [baseURL, model] = process.argv.slice(2);
const client = new Anthropic({ baseURL, apiKey: process.env.LOOM_TEST_KEY ?? 'unused', maxRetries: 0 });
const messages = [{ role: 'user', content: 'the weaver' }];
const result = {};

const whole = await client.messages.create({ model, max_tokens: 8, messages });
result.text = whole.content[0].text;
result.usage = whole.usage.output_tokens;

let streamed = '';
const stream = client.messages.stream({ model, max_tokens: 8, messages }).on('text', (t) => (streamed += t));
const final = await stream.finalMessage();
result.streamed = streamed;
result.streamedUsage = final.usage.output_tokens;
result.stop = final.stop_reason;

result.counted = (await client.messages.countTokens({ model, messages })).input_tokens;

try {
  await client.messages.create({ model: 'no-such-model', max_tokens: 8, messages });
  throw new Error('an unknown model was answered');
} catch (e) {
  if (!(e instanceof Anthropic.NotFoundError)) throw e;
  result.notFound = e.status;
}

console.log(JSON.stringify(result));
