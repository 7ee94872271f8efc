import { Template } from '@huggingface/jinja';
import { Problem } from './problem.js';

/** The chat template that came with the model. */
export class ChatTemplate {
  #template;
  #names;
  #takesSystem;

  constructor(source, tokens) {
    this.#template = typeof source === 'string' ? new Template(source) : null;
    this.#names = { bos_token: tokens.bosString ?? '', eos_token: tokens.eosString ?? '' };
    this.#takesSystem = this.#template !== null && this.#shows('loom-probe');
  }

  get exists() {
    return this.#template !== null;
  }

  render(messages) {
    if (!this.#template) throw Problem.unsupported('messages', 'this model has no chat template; use /v1/completions');
    try {
      return this.#render(this.#takesSystem ? messages : withoutSystem(messages));
    } catch (error) {
      throw Problem.invalid('messages', `the model's chat template refuses these messages: ${error.message}`);
    }
  }

  #render(messages) {
    return this.#template.render({ messages, add_generation_prompt: true, ...this.#names });
  }

  /** Whether a system message reaches the prompt: some templates refuse one, some leave it out without a word. */
  #shows(text) {
    try {
      return this.#render([
        { role: 'system', content: text },
        { role: 'user', content: 'x' },
      ]).includes(text);
    } catch {
      return false;
    }
  }
}

/** Puts each system message in front of the user message that follows it. */
function withoutSystem(messages) {
  const result = [];
  let instructions = [];
  for (const message of messages) {
    if (message.role === 'system') {
      instructions.push(message.content);
    } else if (message.role === 'user') {
      result.push({ ...message, content: [...instructions, message.content].join('\n\n') });
      instructions = [];
    } else {
      result.push(message);
    }
  }
  return instructions.length > 0 ? [...result, { role: 'user', content: instructions.join('\n\n') }] : result;
}
