import type { ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';
import { types } from 'node:util';
import { type ChallengeContext, headersOf, type Scheme } from '../challenge.js';
import { ConfigurationError, InvalidTokenError, ResourceServerError } from '../errors.js';
import type { Next } from './middleware.js';

/** How a middleware answers a refusal. */
export interface RespondSettings extends ChallengeContext {
  readonly errors: 'respond' | 'problem' | 'next';
}

/**
 * Answers a failure the way the middleware was told to. What has no status of its own is a mistake of the programmer's
 * and goes to the application's error handler, as does everything once an answer has begun.
 */
export function respondWith(
  error: unknown,
  res: ServerResponse,
  next: Next,
  settings: RespondSettings,
  presented?: Scheme,
): void {
  if (!(error instanceof ResourceServerError) || error.status === undefined || res.headersSent) {
    handOver(error, next);
    return;
  }
  const { headers, type, body } = answerTo(error, error.status, settings, presented);
  // It may be frozen; the answer is the same.
  Reflect.set(error, 'headers', headers);
  for (const name in headers) res.setHeader(name, headers[name] ?? '');
  if (settings.errors === 'next') {
    next(error);
    return;
  }
  res.statusCode = error.status;
  res.setHeader('Content-Type', type);
  res.end(body);
}

interface Answer {
  readonly headers: Readonly<Record<string, string>>;
  readonly type: string;
  readonly body: string;
}

const refusedTokens = new WeakMap<RespondSettings, Map<string, Answer>>();

// An attacker chooses how many bad tokens there are, and for each reason they are answered with the same words: those
// are put together once.
function answerTo(error: ResourceServerError, status: number, settings: RespondSettings, presented?: Scheme): Answer {
  // Not `instanceof`: a subclass may have other words.
  const isConstant: boolean = error.constructor === InvalidTokenError;
  if (!isConstant) return makeAnswer(error, status, settings, presented);
  let answers = refusedTokens.get(settings);
  if (answers === undefined) refusedTokens.set(settings, (answers = new Map<string, Answer>()));
  const key = presented === 'DPoP' ? `DPoP ${error.reason}` : error.reason;
  let answer = answers.get(key);
  if (answer === undefined) answers.set(key, (answer = makeAnswer(error, status, settings, presented)));
  return answer;
}

function makeAnswer(error: ResourceServerError, status: number, settings: RespondSettings, presented?: Scheme): Answer {
  const headers = Object.freeze(headersOf(error, settings, presented));
  return settings.errors === 'problem'
    ? { headers, type: 'application/problem+json', body: JSON.stringify(problem(error, status)) }
    : { headers, type: 'application/json', body: JSON.stringify(plain(error)) };
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

/** Goes on when a promise has settled. A failure of going on, or of answering, is not lost: no request may be left alone. */
export function continueAfter<T>(
  promise: PromiseLike<T>,
  done: (value: T) => void,
  failed: (error: unknown) => void,
  next: Next,
): void {
  Promise.resolve(promise)
    .then(done)
    .catch(failed)
    .catch((error: unknown) => {
      handOver(error, next);
    });
}

function plain(error: ResourceServerError): Record<string, string> {
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
