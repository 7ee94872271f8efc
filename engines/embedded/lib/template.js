import { Template } from '@huggingface/jinja';
import { Problem } from './problem.js';

/** The chat template that came with the model. */
export class ChatTemplate {
  #template;
  #names;

  constructor(source, tokens) {
    this.#template = typeof source === 'string' ? new Template(source) : null;
    this.#names = { bos_token: tokens.bosString ?? '', eos_token: tokens.eosString ?? '' };
  }

  get exists() {
    return this.#template !== null;
  }

  render(messages) {
    if (!this.#template) throw Problem.unsupported('messages', 'this model has no chat template; use /v1/completions');
    try {
      return this.#template.render({ messages, add_generation_prompt: true, ...this.#names });
    } catch (error) {
      throw Problem.invalid('messages', `the model's chat template refuses these messages: ${error.message}`);
    }
  }
}
