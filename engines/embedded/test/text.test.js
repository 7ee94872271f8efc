import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Detokenizer, StopMatcher } from '../lib/text.js';

/** Feeds pieces and returns all that was sent. */
function run(stops, pieces) {
  const matcher = new StopMatcher(stops);
  let sent = '';
  for (const piece of pieces) {
    const { text, stopped } = matcher.push(piece);
    sent += text;
    if (stopped) return { sent, stopped };
  }
  return { sent: sent + matcher.flush(), stopped: false };
}

test('a stop text across pieces ends the text before it', () => {
  assert.deepEqual(run(['END'], ['abc E', 'N', 'D def']), { sent: 'abc ', stopped: true });
});

test('the beginning of a stop text that does not go on is sent', () => {
  assert.deepEqual(run(['END'], ['abc E', 'N', 'x', ' EN']), { sent: 'abc ENx EN', stopped: false });
});

test('the first of several stop texts wins', () => {
  assert.deepEqual(run(['zz', 'b'], ['a', 'bzz']), { sent: 'a', stopped: true });
});

test('a stop text that overlaps itself is found', () => {
  assert.deepEqual(run(['aab'], ['aa', 'ab']), { sent: 'a', stopped: true });
});

test('every way to cut a text into pieces sends the same', () => {
  const text = 'the weaver sat at the loom';
  for (const stop of ['the loom', 'at', 'm', 'nothing']) {
    const whole = run([stop], [text]);
    for (let cut = 1; cut < text.length; cut++) assert.deepEqual(run([stop], [text.slice(0, cut), text.slice(cut)]), whole);
    assert.deepEqual(run([stop], [...text]), whole);
  }
});

/** A model whose tokens are bytes. */
const bytes = { detokenize: (tokens) => Buffer.from(tokens).toString('utf8') };

test('a character of several tokens is sent once and whole', () => {
  const detokenizer = new Detokenizer(bytes, []);
  const pieces = [...Buffer.from('aé🧵b')].map((token) => detokenizer.push(token));
  assert.deepEqual(pieces, ['a', '', 'é', '', '', '', '🧵', 'b']);
});

test('bytes that are no character are sent at the end', () => {
  const detokenizer = new Detokenizer(bytes, []);
  assert.equal(detokenizer.push(0xe2), '');
  assert.equal(detokenizer.flush(), '\uFFFD');
});
