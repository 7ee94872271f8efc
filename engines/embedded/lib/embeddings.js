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
    this.#context ??= this.#model.createEmbeddingContext({ contextSize: this.#contextLength + 1, batchSize: this.#contextLength + 1, threads: this.#threads });
    const context = await this.#context;
    const lengths = inputs.map((input) => context.calculateInputLength([...input]));
    lengths.forEach((length, index) => {
      if (length > this.#contextLength) throw Problem.contextLength(this.#contextLength, length, null, inputs.length > 1 ? `input[${index}]` : 'input');
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
