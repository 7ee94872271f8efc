// node openai-refusals.mjs BASE_URL MODEL KEY: meets a full queue, once or more, then an unknown key. Prints what the SDK made of both.
import OpenAI from 'openai';

const [baseURL, model, key] = process.argv.slice(2);
const messages = [{ role: 'user', content: 'hi' }];
const seen = [];
const recorded = async (url, init) => {
  const at = performance.now();
  const response = await fetch(url, init);
  seen.push({ at, status: response.status, retryAfter: response.headers.get('retry-after') });
  if (response.status === 429) console.log('refused');
  return response;
};

const patient = new OpenAI({ baseURL, apiKey: key, maxRetries: 30, fetch: recorded });
const answer = await patient.chat.completions.create({ model, messages });
const [first, second] = seen;
const result = {
  answered: answer.choices[0].message.content,
  statuses: seen.map((s) => s.status),
  retryAfter: Number(first.retryAfter),
  waitedSeconds: (second.at - first.at) / 1000,
};

try {
  await new OpenAI({ baseURL, apiKey: 'wrong', maxRetries: 0 }).models.list();
  throw new Error('an unknown key was let in');
} catch (e) {
  if (!(e instanceof OpenAI.AuthenticationError)) throw e;
  result.unauthorized = e.code;
}

console.log(JSON.stringify(result));
