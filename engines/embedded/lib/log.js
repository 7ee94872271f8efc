import { LlamaLogLevel } from 'node-llama-cpp';

const order = [LlamaLogLevel.fatal, LlamaLogLevel.error, LlamaLogLevel.warn, LlamaLogLevel.info, LlamaLogLevel.log, LlamaLogLevel.debug];
export const logLevels = ['error', 'warn', 'info', 'debug'];

/** Lines on stderr, `level: text`. */
export class Log {
  constructor(level) {
    this.threshold = LlamaLogLevel[level];
  }

  write(level, text) {
    if (text !== '' && order.indexOf(level) <= order.indexOf(this.threshold)) process.stderr.write(`${level}: ${text}\n`);
  }
}
