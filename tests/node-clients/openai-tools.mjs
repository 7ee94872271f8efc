// node openai-tools.mjs BASE_URL MODEL: offers a tool and reads the call the engine makes, whole and streamed.
import OpenAI from 'openai';

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: 'unused', maxRetries: 0 });
const tools = [{ type: 'function', function: { name: 'weave', parameters: { type: 'object', properties: { rows: { type: 'integer' } } } } }];
const ask = { model, messages: [{ role: 'user', content: 'weave' }], tools, tool_choice: 'auto', parallel_tool_calls: false };

const whole = await client.chat.completions.create(ask);
const call = whole.choices[0].message.tool_calls[0].function;

let streamed = { name: '', arguments: '' };
let finish = null;
for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) {
  for (const piece of chunk.choices[0]?.delta?.tool_calls ?? []) {
    streamed.name += piece.function?.name ?? '';
    streamed.arguments += piece.function?.arguments ?? '';
  }
  finish = chunk.choices[0]?.finish_reason ?? finish;
}

console.log(JSON.stringify({ whole: { name: call.name, arguments: call.arguments }, streamed, finish }));
