import { Problem } from './problem.js';

/** Embeddings of unit length, in a context of its own that is made when first needed. */
export class Embedder {
  #model;
  #contextLength;
  #threads;
  #context;

  constructor(model, contextLength, threads) {
    this.#model = model;
    this.#contextLength = contextLength;
    this.#threads = threads;
  }

  /** Returns `{ vectors, tokens }`; inputs are token lists. */
  async embed(inputs, signal) {
    this.#context ??= this.#model.createEmbeddingContext({ contextSize: this.#contextLength, batchSize: this.#contextLength, threads: this.#threads });
    const context = await this.#context;
    const limit = this.#contextLength - 1; // the library keeps one place free
    const lengths = inputs.map((input) => context.calculateInputLength([...input]));
    lengths.forEach((length, index) => {
      if (length > limit) throw Problem.contextLength(limit, length, null, inputs.length > 1 ? `input[${index}]` : 'input');
    });
    const vectors = [];
    for (const input of inputs) {
      signal.throwIfAborted();
      const { vector } = await context.getEmbeddingFor([...input]);
      vectors.push(unit(vector));
    }
    return { vectors, tokens: lengths.reduce((sum, length) => sum + length, 0) };
  }
}

function unit(vector) {
  const length = Math.hypot(...vector);
  return Float32Array.from(vector, (value) => (length > 0 ? value / length : 0));
}
