import type { ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';
import { types } from 'node:util';
import { type ChallengeContext, headersOf } from '../challenge.js';
import { ConfigurationError, ResourceServerError } from '../errors.js';
import type { Next } from './middleware.js';

/** How a middleware answers a refusal. */
export interface RespondSettings extends ChallengeContext {
  readonly errors: 'respond' | 'problem' | 'next';
}

/**
 * Answers a failure the way the middleware was told to. What has no status of its own is a mistake of the programmer's
 * and goes to the application's error handler, as does everything once an answer has begun.
 */
export function refuse(error: unknown, res: ServerResponse, next: Next, settings: RespondSettings): void {
  if (!(error instanceof ResourceServerError) || error.status === undefined || res.headersSent) {
    handOver(error, next);
    return;
  }
  error.headers = headersOf(error, settings);
  for (const [name, value] of Object.entries(error.headers)) res.setHeader(name, value);
  if (settings.errors === 'next') {
    next(error);
    return;
  }
  const isProblem = settings.errors === 'problem';
  res.statusCode = error.status;
  res.setHeader('Content-Type', isProblem ? 'application/problem+json' : 'application/json');
  res.end(JSON.stringify(isProblem ? problem(error, error.status) : body(error)));
}

/**
 * Hands a failure to the application's error handler. `next(undefined)` and `next('route')` would go on to a handler, so
 * what somebody threw that is no error becomes one.
 */
function handOver(thrown: unknown, next: Next): void {
  if (thrown instanceof Error || types.isNativeError(thrown)) {
    next(thrown);
    return;
  }
  const problem = {
    option: 'a verifier or a predicate',
    expected: 'an Error where it throws',
    got: `a value of type ${typeof thrown}`,
    fix: 'Throw or reject with an Error.',
  };
  next(new ConfigurationError(problem, { reason: 'verifier_invalid', cause: thrown }));
}

/** Goes on when a promise has settled. A failure of going on itself is not lost either. */
export function settle<T>(promise: PromiseLike<T>, done: (value: T) => void, failed: (error: unknown) => void): void {
  Promise.resolve(promise).then(done).catch(failed);
}

function body(error: ResourceServerError): Record<string, string> {
  // RFC 6750 §3.1: who presented nothing is told no error code.
  return error.code === undefined
    ? { error_description: error.message }
    : { error: error.code, error_description: error.message };
}

// RFC 9457 §3.1: "about:blank" says no more than the status does, so the title is the status's.
function problem(error: ResourceServerError, status: number): Record<string, unknown> {
  const title = STATUS_CODES[status];
  const members = { type: 'about:blank', title, status, detail: error.message };
  return error.code === undefined ? members : { ...members, error: error.code };
}
