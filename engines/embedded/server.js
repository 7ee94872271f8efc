#!/usr/bin/env node
// OpenAI-compatible HTTP around one llama.cpp model. The port opens first, so that a probe can tell loading from dead.
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { LlamaLogLevel } from 'node-llama-cpp';
import { Engine } from './lib/engine.js';
import { serve } from './lib/http.js';
import { Log, logLevels } from './lib/log.js';
import { createRoutes } from './lib/routes.js';

const options = readOptions();
const log = new Log(options.logLevel);
const state = { engine: null, progress: 0 };
const server = serve(
  createRoutes(() => state),
  (error) => log.write(LlamaLogLevel.error, error.stack),
);

process.on('SIGTERM', stop);
process.on('SIGINT', stop);
server.on('error', (error) => end(1, `cannot listen on ${options.host}:${options.port}: ${error.message}`));
server.listen(options.port, options.host, load);

async function load() {
  process.stdout.write(`listening on http://${options.host}:${server.address().port}\n`);
  try {
    state.engine = await Engine.load(options, (progress) => (state.progress = progress), log);
    process.stdout.write(
      `ready: model '${state.engine.id}', ${options.slots} slots of ${state.engine.contextLength} tokens, ${state.engine.threads} threads\n`,
    );
  } catch (error) {
    await setTimeout(20); // the library's own lines, which say why, arrive later
    end(1, `cannot load the model '${options.model}': ${[error.message, ...log.errors].join('; ')}`);
  }
}

/** Ends within a second: streams are cut, which stops their generation; a native call in progress is not waited for. */
function stop() {
  server.close();
  server.closeAllConnections();
  process.exit(0);
}

function end(code, message) {
  process.stderr.write(`error: ${message}\n`);
  process.exit(code);
}

function readOptions() {
  const usage =
    'usage: server.js --model FILE [--port N] [--host ADDRESS] [--slots N] [--ctx N] [--threads N] [--id NAME] [--deterministic] [--log-level LEVEL]';
  const text = { type: 'string' };
  let values;
  try {
    values = parseArgs({
      options: { model: text, port: text, host: text, slots: text, ctx: text, threads: text, id: text, 'log-level': text, deterministic: { type: 'boolean' } },
    }).values;
  } catch (error) {
    end(2, `${error.message}; ${usage}`);
  }
  if (!values.model) end(2, `--model is missing; ${usage}`);
  const level = values['log-level'] ?? 'warn';
  if (!logLevels.includes(level)) end(2, `--log-level is '${level}', but must be one of ${logLevels.join(', ')}`);
  return {
    model: values.model,
    id: values.id,
    host: values.host ?? '127.0.0.1',
    port: number(values, 'port', 0, 65535) ?? 0,
    slots: values.deterministic ? 1 : (number(values, 'slots', 1, 256) ?? 1),
    ctx: number(values, 'ctx', 1, 2 ** 24),
    threads: number(values, 'threads', 1, 1024) ?? 1,
    logLevel: level,
  };
}

function number(values, name, min, max) {
  const value = values[name];
  if (value === undefined) return undefined;
  if (!/^\d{1,9}$/.test(value) || Number(value) < min || Number(value) > max)
    end(2, `--${name} is '${value}', but must be a whole number from ${min} to ${max}`);
  return Number(value);
}
