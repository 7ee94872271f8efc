/** Turns tokens into text; holds back bytes of a character that is not complete yet. */
export class Detokenizer {
  #model;
  #before;
  #pending = [];

  constructor(model, promptTokens) {
    this.#model = model;
    this.#before = promptTokens.slice(-3);
  }

  push(token) {
    this.#pending.push(token);
    const text = this.#model.detokenize(this.#pending, false, this.#before);
    return text.endsWith('\uFFFD') && this.#pending.length < 4 ? '' : this.#done(text);
  }

  /** What is left at the end, incomplete characters included. */
  flush() {
    return this.#pending.length === 0 ? '' : this.#done(this.#model.detokenize(this.#pending, false, this.#before));
  }

  #done(text) {
    this.#before = [...this.#before, ...this.#pending].slice(-3);
    this.#pending = [];
    return text;
  }
}

/** Looks for stop texts across token borders; holds back what may be the beginning of one. */
export class StopMatcher {
  #stops;
  #held = '';

  constructor(stops) {
    this.#stops = stops;
  }

  /** Returns the text that is safe to send and whether a stop text was met; nothing of the stop text or after it is sent. */
  push(text) {
    if (this.#stops.length === 0) return { text, stopped: false };
    const all = this.#held + text;
    const found = this.#stops.map((stop) => all.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.#held = '';
      return { text: all.slice(0, Math.min(...found)), stopped: true };
    }
    const keep = Math.max(...this.#stops.map((stop) => overlap(all, stop)));
    this.#held = all.slice(all.length - keep);
    return { text: all.slice(0, all.length - keep), stopped: false };
  }

  flush() {
    const text = this.#held;
    this.#held = '';
    return text;
  }
}

/** Length of the longest end of `text` that is a beginning of `stop`. */
function overlap(text, stop) {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
