import { CLIENT } from './tokens.js';

const SOCKET = { remoteAddress: '127.0.0.1' };

/** The members of Express's request that middleware reads. */
class Request {
  method = 'GET';
  url = '/';
  originalUrl = '/';
  protocol = 'http';
  query = {};
  socket = SOCKET;

  constructor(authorization) {
    this.headers = { host: 'localhost', authorization };
    this.rawHeaders = ['Host', 'localhost', 'Authorization', authorization];
  }

  get(name) {
    return this.headers[name.toLowerCase()];
  }

  is() {
    return false;
  }
}

const response = new Proxy(
  {},
  {
    get: (_target, name) => {
      throw new Error(`the middleware sent a response (res.${String(name)})`);
    },
  },
);

/** Passes one request through a middleware; resolves at `next()`. */
export function pass({ middleware, clientOf }, authorization) {
  const req = new Request(authorization);
  return new Promise((resolve, reject) => {
    middleware(req, response, (error) => {
      if (error) reject(error);
      else if (clientOf(req) !== CLIENT) reject(new Error('wrong client'));
      else resolve();
    });
  });
}

/**
 * Passes requests through a middleware without HTTP, one after the other. Each header is a new string, as it is
 * in a server: a middleware cannot recognize a string by identity or by a hash that it already has.
 *
 * @returns {Promise<number>} microseconds of CPU per call, all threads
 */
export async function callAll({ middleware, clientOf }, tokens, count) {
  const headers = tokens.map((token) => Buffer.from(`Bearer ${token}`, 'latin1'));
  let isDone;
  let failure;
  let wake;
  const next = (error) => {
    failure = error;
    isDone = true;
    wake?.();
  };
  const before = process.cpuUsage();
  for (let i = 0; i < count; i++) {
    const req = new Request(headers[i % headers.length].latin1Slice());
    isDone = false;
    wake = undefined;
    middleware(req, response, next);
    if (!isDone) await new Promise((resolve) => (wake = resolve));
    if (failure) throw failure;
    if (clientOf(req) !== CLIENT) throw new Error('wrong client');
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}
