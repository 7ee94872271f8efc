// Loom components in Node: this one file, no dependencies, Node 20 or newer.
//
//   import { component, ItemError } from './loom-component.mjs';
//   component({
//     item: async (event) => event.data.toUpperCase(),   // return an event, or yield any number (async function*)
//   });
//
// Errors: throw new ItemError('code', 'message', { retryable: true }); any other exception fails the item as permanent.
// State: snapshot() returns JSON, restore(state) takes it back. Batches: batch(events) instead of item(event).
// A source: source(), an async generator of payloads (or Emit); with snapshot and restore it is replayable, and restore is called once before the
// first event, with null when there is nothing to go on from. console.log goes to stderr, since stdout belongs to the protocol.
import { createInterface } from 'node:readline';
import { Console } from 'node:console';

export class ItemError extends Error {
  constructor(code, message, { retryable = false } = {}) {
    super(message);
    this.code = code;
    this.retryable = retryable;
  }
}

/** A result with a port, a key, headers or, in a batch, the index of the member it comes from. */
export class Emit {
  constructor(data, { port, key, headers, index } = {}) {
    Object.assign(this, { data, port, key, headers, index });
  }
}

globalThis.console = new Console(process.stderr, process.stderr);

let ports = { inputs: [], outputs: [] };
let lastQuestion = 0;
const replies = new Map();
let waiting = '';
let draining = null;

// Lines of one turn of the event loop leave in one write.
function say(message) {
  if (waiting === '') setImmediate(flush);
  waiting += `${JSON.stringify(message)}\n`;
}

function flush() {
  if (waiting === '') return;
  const lines = waiting;
  waiting = '';
  if (!process.stdout.write(lines) && !draining) {
    draining = new Promise((resolve) => process.stdout.once('drain', () => { draining = null; resolve(); }));
  }
}

export const log = (message, level = 'info') => say({ type: 'log', level, message: String(message) });
export const metric = (name, value, labels = {}) => say({ type: 'metric', name, value, labels });

/** Asks the host, for instance (await call('llm', { messages: [{ role: 'user', content: '...' }] })).text */
export function call(api, question) {
  const q = ++lastQuestion;
  say({ type: 'call', q, api, ...question });
  return new Promise((resolve, reject) => replies.set(q, { resolve, reject }));
}

function emit(result, n) {
  const event = result instanceof Emit ? result : new Emit(result);
  say({
    type: 'emit', n, port: event.port ?? ports.outputs[0] ?? 'out', data: event.data ?? null,
    key: event.key, headers: event.headers, index: event.index,
  });
}

async function* results(made) {
  const result = await made;
  if (result === undefined || result === null) return;
  if (typeof result[Symbol.asyncIterator] === 'function' || typeof result.next === 'function') yield* result;
  else yield result;
}

async function work(message, handler, argument) {
  if (!handler) {
    say({ type: 'error', n: message.n, code: 'no_handler', message: `the component has no ${message.type} handler`, retryable: false });
    return;
  }

  try {
    for await (const result of results(handler(argument))) {
      emit(result, message.n);
      if (draining) await draining;
    }
    say({ type: 'done', n: message.n });
  } catch (error) {
    if (!(error instanceof ItemError)) console.error(error);
    say({ type: 'error', n: message.n, code: error.code ?? error.name ?? 'error', message: String(error.message ?? error), retryable: error.retryable === true });
  }
}

/**
 * Serves until the host says goodbye.
 * @param handlers item or batch or source; setup(config), snapshot(), restore(state), drain(), cleanup()
 * @param options maxInFlight (16), stream (false)
 */
export async function component(handlers, { maxInFlight = 16, stream = false } = {}) {
  const stateful = typeof handlers.snapshot === 'function';
  // State must not change under a snapshot, so a stateful component works on one item after the other.
  let turn = Promise.resolve();
  const inTurn = (task) => { turn = turn.then(task); return turn; };
  const unfinished = new Set();
  let stopSource = false;
  let sourceStarted = false;

  async function runSource() {
    sourceStarted = true;
    const events = handlers.source();
    for await (const event of events) {
      if (stopSource) break;
      await inTurn(() => emit(event));
      if (draining) await draining;
      await new Promise(setImmediate); // the host has its turn between two events
    }
    say({ type: 'end' });
  }

  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    const message = JSON.parse(line);
    switch (message.type) {
      case 'hello':
        ports = message.ports;
        await handlers.setup?.(message.config ?? {});
        say({
          type: 'ready', v: 1, max_in_flight: maxInFlight, stateful, batch: typeof handlers.batch === 'function',
          replayable: stateful && typeof handlers.source === 'function', stream,
        });
        if (handlers.source && !stateful) void runSource();
        break;
      case 'item':
      case 'batch': {
        const task = message.type === 'item'
          ? () => work(message, handlers.item, message)
          : () => work(message, handlers.batch, message.items);
        const running = stateful ? inTurn(task) : task();
        unfinished.add(running);
        void running.finally(() => unfinished.delete(running));
        break;
      }
      case 'restore':
        await inTurn(() => handlers.restore(message.state));
        if (handlers.source && !sourceStarted) void runSource();
        break;
      case 'snapshot':
        void inTurn(async () => say({ type: 'state', id: message.id, data: await handlers.snapshot() }));
        break;
      case 'drain':
        stopSource = true;
        if (!handlers.source) {
          await Promise.all(unfinished);
          for await (const result of results(handlers.drain?.())) emit(result);
        }
        break;
      case 'ping':
        say({ type: 'pong' });
        break;
      case 'reply': {
        const { resolve, reject } = replies.get(message.q);
        replies.delete(message.q);
        if (message.error) reject(new ItemError(message.error.code, message.error.message, message.error));
        else resolve(message.data);
        break;
      }
      case 'cleanup':
        await Promise.all(unfinished);
        await handlers.cleanup?.();
        say({ type: 'bye' });
        flush();
        return;
    }
  }
}
