import { Problem } from './problem.js';

/** Reads a request body field by field; whatever nobody asked for is refused by `end`, because nothing may be dropped in silence. */
export class Fields {
  #body;
  #path;
  #left;

  constructor(body, path = '') {
    this.#body = body;
    this.#path = path;
    this.#left = new Set(Object.keys(body).filter((key) => body[key] !== null));
  }

  /** The field as it stands, or undefined; `null` counts as absent. */
  any(name) {
    this.#left.delete(name);
    return this.#body[name] ?? undefined;
  }

  required(name) {
    const value = this.any(name);
    if (value === undefined) throw Problem.invalid(this.#name(name), `'${this.#name(name)}' is required`);
    return value;
  }

  number(name, min, max, fallback) {
    return this.#checked(name, fallback, `a number from ${min} to ${max}`, (v) => typeof v === 'number' && v >= min && v <= max);
  }

  integer(name, min, max, fallback) {
    return this.#checked(name, fallback, `a whole number from ${min} to ${max}`, (v) => Number.isSafeInteger(v) && v >= min && v <= max);
  }

  boolean(name, fallback) {
    return this.#checked(name, fallback, 'true or false', (v) => typeof v === 'boolean');
  }

  oneOf(name, values, fallback) {
    return this.#checked(name, fallback, values.map((v) => `'${v}'`).join(' or '), (v) => values.includes(v));
  }

  /** A nested object, or undefined. */
  object(name) {
    const value = this.#checked(name, undefined, 'an object', (v) => typeof v === 'object' && !Array.isArray(v));
    return value && new Fields(value, this.#name(name));
  }

  /** Accepts `name` only where `harmless(value)`; this engine cannot do what it asks for otherwise. */
  lacks(name, harmless = () => false) {
    const value = this.any(name);
    if (value !== undefined && !harmless(value))
      throw Problem.unsupported(this.#name(name), `this engine does not support '${this.#name(name)}' with this value`);
  }

  /** Fields that only describe the request and change no answer. */
  ignore(...names) {
    names.forEach((name) => this.#left.delete(name));
  }

  end() {
    for (const name of this.#left) throw Problem.unsupported(this.#name(name), `this engine does not support '${this.#name(name)}'`);
  }

  #checked(name, fallback, expected, isValid) {
    const value = this.any(name);
    if (value === undefined) return fallback;
    if (!isValid(value)) throw Problem.invalid(this.#name(name), `'${this.#name(name)}' must be ${expected}, not ${JSON.stringify(value).slice(0, 60)}`);
    return value;
  }

  #name(name) {
    return this.#path ? `${this.#path}.${name}` : name;
  }
}
