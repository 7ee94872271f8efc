import { LlamaLogLevel } from 'node-llama-cpp';

const order = [LlamaLogLevel.fatal, LlamaLogLevel.error, LlamaLogLevel.warn, LlamaLogLevel.info, LlamaLogLevel.log, LlamaLogLevel.debug];
export const logLevels = ['error', 'warn', 'info', 'debug'];

/** Lines on stderr, `level: text`. */
export class Log {
  /** What went wrong lately, newest last. */
  errors = [];

  constructor(level) {
    this.threshold = LlamaLogLevel[level];
  }

  write(level, text) {
    if (level === LlamaLogLevel.error) this.errors = [...this.errors, text].slice(-3);
    if (text !== '' && order.indexOf(level) <= order.indexOf(this.threshold)) process.stderr.write(`${level}: ${text}\n`);
  }
}
