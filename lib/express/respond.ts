import type { IncomingMessage, ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';
import { types } from 'node:util';
import { type ChallengeContext, headersOf, type Scheme } from '../challenge.js';
import { ConfigurationError, InvalidTokenError, ResourceServerError, UpstreamError, withHeaders } from '../errors.js';
import { BoundedCache } from '../util/bounded-cache.js';
import type { Next } from './middleware.js';
import type { ScopeHierarchy } from './scope-hierarchy.js';
import { reportRejection, type ReportSettings } from './report.js';

/** What a middleware shares with the gates behind it. */
export interface RespondSettings extends ChallengeContext, ReportSettings {
  readonly errors: 'respond' | 'problem' | 'next';
  /** The property of the request that contains the `Auth`. */
  readonly property: string;
  /** Which scopes include which others; without it, each includes only itself. */
  readonly scopeHierarchy?: ScopeHierarchy | undefined;
}

/**
 * Responds to a failure as the middleware is configured. An error without a status is a mistake of the programmer and
 * goes to the application's error handler; so does every error after the response has started.
 */
export function respondWith(
  error: unknown,
  req: IncomingMessage,
  res: ServerResponse,
  next: Next,
  settings: RespondSettings,
  presented?: Presented,
): void {
  if (!(error instanceof ResourceServerError) || error.status === undefined || res.headersSent) {
    passToErrorHandler(error, next);
    return;
  }
  const { headers, type, body } = responseTo(error, error.status, settings, presented?.scheme);
  for (const name in headers) res.setHeader(name, headers[name] ?? '');
  if (settings.errors === 'next') {
    const presentedError = withHeaders(error, headers);
    next(presentedError);
    reportRejection(presentedError, req, settings, presented?.token);
    return;
  }
  res.statusCode = error.status;
  res.setHeader('Content-Type', type);
  res.end(body);
  reportRejection(error, req, settings, presented?.token);
}

/** What the request presented, as far as it was read. */
export interface Presented {
  readonly scheme: Scheme;
  readonly token?: string | undefined;
}

interface PreparedResponse {
  readonly headers: Readonly<Record<string, string>>;
  readonly type: string;
  readonly body: string;
}

const preparedResponses = new WeakMap<RespondSettings, BoundedCache<PreparedResponse>>();
/** There are fewer reasons than this; the rest is for the values of `Retry-After`. No response expires. */
const PREPARED = { maxEntries: 200, clock: () => 0 };

// An attacker chooses how many invalid tokens and unknown keys there are, and the response is the same for each reason and
// `Retry-After`: it is prepared once.
function responseTo(
  error: ResourceServerError,
  status: number,
  settings: RespondSettings,
  presented?: Scheme,
): PreparedResponse {
  const key = responseKey(error, presented);
  if (key === undefined) return prepareResponse(error, status, settings, presented);
  let responses = preparedResponses.get(settings);
  if (responses === undefined) preparedResponses.set(settings, (responses = new BoundedCache(PREPARED)));
  const known = responses.get(key);
  if (known !== undefined) return known;
  const response = prepareResponse(error, status, settings, presented);
  responses.set(key, response, Number.POSITIVE_INFINITY);
  return response;
}

/** What decides the response to an error of one of our own classes. A subclass may have another message. */
function responseKey(error: ResourceServerError, presented?: Scheme): string | undefined {
  const { constructor, reason } = error;
  if (constructor === InvalidTokenError) return presented === 'DPoP' ? `DPoP ${reason}` : reason;
  const isUpstream = constructor === UpstreamError && error instanceof UpstreamError;
  return isUpstream ? `${reason} ${error.retryAfter}` : undefined;
}

function prepareResponse(
  error: ResourceServerError,
  status: number,
  settings: RespondSettings,
  presented?: Scheme,
): PreparedResponse {
  const headers = Object.freeze(headersOf(error, settings, presented));
  return settings.errors === 'problem'
    ? { headers, type: 'application/problem+json', body: JSON.stringify(problemDetails(error, status)) }
    : { headers, type: 'application/json', body: JSON.stringify(errorBody(error)) };
}

/**
 * Passes a failure to the application's error handler. `next(undefined)` and `next('route')` would continue to a handler,
 * so a thrown value that is not an error becomes one.
 */
function passToErrorHandler(thrown: unknown, next: Next): void {
  if (thrown instanceof Error || types.isNativeError(thrown)) {
    next(thrown);
    return;
  }
  const problem = {
    option: 'a verifier or a predicate',
    expected: 'to throw an Error',
    got: `a value of type ${typeof thrown}`,
    fix: 'Throw or reject with an Error.',
  };
  next(new ConfigurationError(problem, { reason: 'verifier_invalid', cause: thrown }));
}

/** Continues when a promise has settled. A failure of `done` or `failed` also reaches the error handler. */
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
      passToErrorHandler(error, next);
    });
}

function errorBody(error: ResourceServerError): Record<string, string> {
  // RFC 6750 §3.1: a client without credentials receives no error code.
  return error.code === undefined
    ? { error_description: error.message }
    : { error: error.code, error_description: error.message };
}

// RFC 9457 §3.1: "about:blank" means no more than the status, so the title is the status's.
function problemDetails(error: ResourceServerError, status: number): Record<string, unknown> {
  const title = STATUS_CODES[status];
  const members = { type: 'about:blank', title, status, detail: error.message };
  return error.code === undefined ? members : { ...members, error: error.code };
}
