import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots } from '../lib/slots.js';

const forever = new AbortController().signal;

/** A context whose sequences hold the given tokens. */
function slotsHolding(...contents) {
  const left = [...contents];
  const getSequence = () => {
    const held = left.shift();
    const compareContextTokens = (tokens) => {
      const at = held.findIndex((token, index) => token !== tokens[index]);
      return { firstDifferentIndex: at < 0 ? held.length : at };
    };
    return { compareContextTokens };
  };
  return new Slots({ getSequence }, contents.length);
}

test('the slot with the longest common prefix is chosen', async () => {
  const slots = slotsHolding([0, 1, 9], [0, 1, 2, 3], []);
  assert.equal((await slots.acquire([0, 1, 2, 3, 4], forever)).id, 1);
  assert.equal((await slots.acquire([0, 1, 2, 3, 4], forever)).id, 0);
});

test('a common first token draws nothing: the longest unused slot is chosen', async () => {
  const slots = slotsHolding([0, 1], [], []);
  const first = await slots.acquire([0, 1, 2], forever);
  slots.release(first);
  assert.equal((await slots.acquire([0, 7], forever)).id, 1);
});

test('requests beyond the slots are served in order', async () => {
  const slots = slotsHolding([]);
  const slot = await slots.acquire([1], forever);
  const served = [];
  const second = slots.acquire([2], forever).then((s) => (served.push(2), s));
  const third = slots.acquire([3], forever).then(() => served.push(3));
  assert.equal(slots.waitingCount, 2);
  slots.release(slot);
  slots.release(await second);
  await third;
  assert.deepEqual(served, [2, 3]);
  assert.equal(slots.waitingCount, 0);
});

test('who leaves the line is not served', async () => {
  const slots = slotsHolding([]);
  const slot = await slots.acquire([1], forever);
  const gone = new AbortController();
  const leaving = slots.acquire([2], gone.signal);
  const staying = slots.acquire([3], forever);
  gone.abort();
  await assert.rejects(leaving);
  slots.release(slot);
  assert.equal(await staying, slot);
});

test('who left just as the slot came free gives it on', async () => {
  const slots = slotsHolding([]);
  const slot = await slots.acquire([1], forever);
  const gone = new AbortController();
  const leaving = slots.acquire([2], gone.signal);
  slots.release(slot);
  gone.abort();
  await assert.rejects(leaving);
  assert.equal(slots.busyCount, 0);
});
