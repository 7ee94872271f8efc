/** Counters under llama-server's names. */
export class Metrics {
  #promptTokens = 0;
  #promptMs = 0;
  #outputTokens = 0;
  #outputMs = 0;
  #batches = 0;
  #batchItems = 0;

  prompt(tokens, milliseconds) {
    this.#promptTokens += tokens;
    this.#promptMs += milliseconds;
  }

  /** Counts cancelled generations too. */
  output(tokens, milliseconds) {
    this.#outputTokens += tokens;
    this.#outputMs += milliseconds;
  }

  decoded(sequences) {
    this.#batches++;
    this.#batchItems += sequences;
  }

  text(slots) {
    const perSecond = (tokens, milliseconds) => (milliseconds > 0 ? (tokens * 1000) / milliseconds : 0);
    const rows = [
      ['prompt_tokens_total', 'counter', 'Prompt tokens processed.', this.#promptTokens],
      ['prompt_seconds_total', 'counter', 'Time spent on prompts.', this.#promptMs / 1000],
      ['tokens_predicted_total', 'counter', 'Tokens generated.', this.#outputTokens],
      ['tokens_predicted_seconds_total', 'counter', 'Time spent on generation.', this.#outputMs / 1000],
      ['n_decode_total', 'counter', 'Batches decoded.', this.#batches],
      ['n_busy_slots_per_decode', 'gauge', 'Average sequences a batch.', this.#batches > 0 ? this.#batchItems / this.#batches : 0],
      ['prompt_tokens_seconds', 'gauge', 'Average prompt throughput, tokens a second.', perSecond(this.#promptTokens, this.#promptMs)],
      ['predicted_tokens_seconds', 'gauge', 'Average generation throughput, tokens a second.', perSecond(this.#outputTokens, this.#outputMs)],
      ['requests_processing', 'gauge', 'Requests that hold a slot.', slots.busyCount],
      ['requests_deferred', 'gauge', 'Requests that wait for a slot.', slots.waitingCount],
    ];
    return rows.map(([name, type, help, value]) => `# HELP llamacpp:${name} ${help}\n# TYPE llamacpp:${name} ${type}\nllamacpp:${name} ${value}\n`).join('');
  }
}
