import { randomUUID } from 'node:crypto';

/** The JSON of chat completions; `plain` below has the same members for plain completions. */
export const chat = {
  first: { role: 'assistant', content: '' },
  newId: () => `chatcmpl-${randomUUID()}`,
  object: 'chat.completion',
  chunkObject: 'chat.completion.chunk',
  choice: (text, logprobs, finishReason) => ({
    index: 0,
    message: { role: 'assistant', content: text, refusal: null },
    logprobs: logprobs && chatLogprobs(logprobs),
    finish_reason: finishReason,
  }),
  chunkChoice: (delta, logprobs, finishReason) => ({ index: 0, delta, logprobs: logprobs && chatLogprobs(logprobs), finish_reason: finishReason }),
  delta: (text) => ({ content: text }),
  emptyDelta: {},
};

export const plain = {
  first: null,
  newId: () => `cmpl-${randomUUID()}`,
  object: 'text_completion',
  chunkObject: 'text_completion',
  choice: (text, logprobs, finishReason) => ({ index: 0, text, logprobs: logprobs && plainLogprobs(logprobs), finish_reason: finishReason }),
  chunkChoice: (text, logprobs, finishReason) => ({ index: 0, text, logprobs: logprobs && plainLogprobs(logprobs), finish_reason: finishReason }),
  delta: (text) => text,
  emptyDelta: '',
};

function chatLogprobs(entries) {
  const item = ({ token, logprob }) => ({ token, logprob, bytes: bytesOf(token) });
  return { content: entries.map((entry) => ({ ...item(entry), top_logprobs: entry.top.map(item) })), refusal: null };
}

function plainLogprobs(entries) {
  return {
    tokens: entries.map((entry) => entry.token),
    token_logprobs: entries.map((entry) => entry.logprob),
    top_logprobs: entries.map((entry) => Object.fromEntries(entry.top.map(({ token, logprob }) => [token, logprob]))),
    text_offset: entries.map((entry) => entry.at),
  };
}

/** Null for a token that is only part of a character: its bytes cannot be had from its text. */
function bytesOf(text) {
  return text.includes('\uFFFD') ? null : [...Buffer.from(text)];
}
