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
    const context = await this.#ready();
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

  /** The context; one that could not be made is tried again by the next request, for which there may be memory. */
  async #ready() {
    const options = { contextSize: this.#contextLength, batchSize: this.#contextLength, threads: this.#threads };
    const making = (this.#context ??= this.#model.createEmbeddingContext(options));
    try {
      return await making;
    } catch (error) {
      if (this.#context === making) this.#context = undefined;
      throw error;
    }
  }
}

function unit(vector) {
  const length = Math.hypot(...vector);
  return Float32Array.from(vector, (value) => (length > 0 ? value / length : 0));
}
