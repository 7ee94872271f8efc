import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Embedder } from '../lib/embeddings.js';

const forever = new AbortController().signal;

test('a context that could not be made is made by the next request', async () => {
  const context = { calculateInputLength: (tokens) => tokens.length, getEmbeddingFor: async () => ({ vector: [3, 4] }) };
  const answers = [Promise.reject(new Error('no memory')), Promise.resolve(context)];
  const embedder = new Embedder({ createEmbeddingContext: () => answers.shift() }, 16, 1);
  await assert.rejects(embedder.embed([[1]], forever), /no memory/);
  const { vectors } = await embedder.embed([[1]], forever);
  assert.deepEqual([...vectors[0]].map((value) => value.toFixed(1)), ['0.6', '0.8']);
  await embedder.embed([[1]], forever);
  assert.equal(answers.length, 0);
});
