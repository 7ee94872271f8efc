import { Problem } from './problem.js';

const maxWaiting = 256;

/** The sequences of one context. A request gets the free one that already holds most of its prompt; requests beyond the slots wait in order. */
export class Slots {
  #slots;
  #waiting = [];
  #uses = 0;

  constructor(context, count) {
    this.#slots = Array.from({ length: count }, (_, id) => ({
      id,
      sequence: context.getSequence(),
      busy: false,
      task: -1,
      decoded: 0,
      lastUse: 0,
      exactLength: 0,
    }));
  }

  get all() {
    return this.#slots;
  }

  /** True: nobody shares a batch, so the same work can be done in the same pieces each time. */
  get exact() {
    return this.#slots.length === 1;
  }

  get busyCount() {
    return this.#slots.filter((slot) => slot.busy).length;
  }

  get waitingCount() {
    return this.#waiting.length;
  }

  /** Takes a slot for a prompt; rejects when `signal` fires first. */
  async acquire(tokens, signal) {
    signal.throwIfAborted();
    const slot = this.#choose(tokens) ?? (await this.#wait(tokens, signal));
    if (!signal.aborted) return slot;
    this.release(slot);
    throw signal.reason;
  }

  release(slot) {
    slot.busy = false;
    const next = this.#waiting.shift();
    if (next) next(this.#take(slot));
  }

  #choose(tokens) {
    let best = null;
    let bestPrefix = -1;
    for (const slot of this.#slots) {
      if (slot.busy) continue;
      // One common token is only the mark that begins every text; it must not draw all work to one slot.
      const prefix = Math.max(1, slot.sequence.compareContextTokens(tokens).firstDifferentIndex);
      if (prefix > bestPrefix || (prefix === bestPrefix && slot.lastUse < best.lastUse)) {
        best = slot;
        bestPrefix = prefix;
      }
    }
    return best && this.#take(best);
  }

  #take(slot) {
    slot.busy = true;
    slot.decoded = 0;
    slot.lastUse = slot.task = ++this.#uses;
    return slot;
  }

  #wait(tokens, signal) {
    if (this.#waiting.length >= maxWaiting) throw Problem.unavailable(`${maxWaiting} requests wait already`);
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(signal.reason);
      };
      const enter = (slot) => {
        signal.removeEventListener('abort', leave);
        resolve(slot);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(enter);
    });
  }
}
