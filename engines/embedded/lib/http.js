import { createServer } from 'node:http';
import { once } from 'node:events';
import { Problem } from './problem.js';

const maxBodyBytes = 32 * 1024 * 1024;

/**
 * Serves `routes`, an object from `METHOD /path` to `async (exchange) => void`.
 * `report(error)` hears of failures that are our own.
 */
export function serve(routes, report) {
  const paths = new Map();
  for (const key of Object.keys(routes)) {
    const [method, path] = key.split(' ');
    paths.set(path, [...(paths.get(path) ?? []), method]);
  }

  const server = createServer({ keepAliveTimeout: 75_000, requestTimeout: 30_000, headersTimeout: 30_000 }, async (req, res) => {
    const exchange = new Exchange(req, res);
    try {
      const path = req.url.split('?', 1)[0];
      const route = routes[`${req.method} ${path}`];
      if (!route) {
        const allowed = paths.get(path);
        if (!allowed) throw Problem.notFound(`no route '${path}'`);
        res.setHeader('allow', allowed.join(', '));
        throw new Problem(405, 'invalid_request_error', 'method_not_allowed', `'${path}' takes ${allowed.join(', ')}`);
      }
      await route(exchange);
    } catch (error) {
      if (!exchange.signal.aborted) {
        if (!(error instanceof Problem)) report(error);
        exchange.fail(error instanceof Problem ? error : Problem.internal(error));
      }
    }
  });
  return server;
}

/** One request and its answer. `signal` fires when the client goes away before the answer is complete. */
class Exchange {
  #req;
  #res;
  #gone = new AbortController();

  constructor(req, res) {
    this.#req = req;
    this.#res = res;
    res.once('close', () => {
      if (!res.writableFinished) this.#gone.abort();
    });
  }

  get signal() {
    return this.#gone.signal;
  }

  /** The body as a JSON object, whatever content type it claims: `curl -d` claims a form. */
  async json() {
    const chunks = [];
    let size = 0;
    for await (const chunk of this.#req) {
      size += chunk.length;
      if (size > maxBodyBytes) {
        this.#res.setHeader('connection', 'close');
        throw new Problem(413, 'invalid_request_error', 'body_too_large', `the body is larger than ${maxBodyBytes} bytes`);
      }
      chunks.push(chunk);
    }
    let body;
    try {
      body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    } catch (error) {
      throw Problem.invalid(null, `the body is not JSON: ${error.message}`);
    }
    if (body === null || typeof body !== 'object' || Array.isArray(body)) throw Problem.invalid(null, 'the body is not a JSON object');
    return body;
  }

  send(status, value) {
    this.#end(status, 'application/json; charset=utf-8', JSON.stringify(value));
  }

  sendText(text) {
    this.#end(200, 'text/plain; version=0.0.4; charset=utf-8', text);
  }

  /** Writes one server-sent event, the head with the first; waits while the client does not read. */
  async event(data) {
    if (!this.#res.headersSent) {
      this.#res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' });
    }
    if (!this.#res.write(`data: ${data}\n\n`)) await once(this.#res, 'drain', { signal: this.signal });
  }

  endEvents() {
    this.#res.end('data: [DONE]\n\n');
  }

  /** Refuses the request; a stream that has begun is told and then cut, so that no client takes it for complete. */
  fail(problem) {
    if (!this.#res.headersSent) {
      if (problem.retryAfterSeconds != null) this.#res.setHeader('retry-after', String(problem.retryAfterSeconds));
      this.send(problem.status, problem.body);
    } else {
      this.#res.write(`data: ${JSON.stringify(problem.body)}\n\n`, () => this.#res.destroy());
    }
  }

  #end(status, type, text) {
    this.#res.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
    this.#res.end(text);
  }
}
