/** Requests to the authorization server: one deadline for the whole exchange, a maximum size, no redirects. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { parseJsonObject } from '../util/json.js';
import { startDeadline } from '../util/timer.js';
import { parseUrl, withoutQuery } from '../util/url.js';
import { describeFailure, isClosedConnection } from './fetch-failure.js';
import {
  checkResponse,
  discardBody,
  type FetchInit,
  type FetchResponse,
  readBody,
  readHeader,
} from './fetch-response.js';
import { HttpError } from './http-error.js';

/**
 * A function like the global `fetch`, for proxies, custom certificate authorities and client certificates. The `fetch` of
 * undici and of node-fetch 2 and 3 are such functions.
 */
export type Fetch = (url: string, init: FetchInit) => Promise<FetchResponse>;

/** The global `fetch`, read at each call, because instrumentation may replace it. */
export const globalFetch: Fetch = (url, init) => fetch(url, init);

export interface HttpOptions {
  readonly fetch: Fetch;
  /** Deadline of the whole exchange, body included. Seconds. */
  readonly timeout: number;
  /** Maximum size of the body of a response, after decompression. */
  readonly maxBytes: number;
  /** The member of the issuer's metadata that contains the URL; `undefined` if the options contain it. */
  readonly discoveredAs?: string | undefined;
  /** Receives each complete response with status 200. */
  readonly onResponse?: ((response: ReceivedResponse) => void) | undefined;
}

/** When and from where a response was received. */
export interface ReceivedResponse {
  readonly origin: string;
  /** The time of the server: `Date` plus `Age` (RFC 9110 §6.6.1, RFC 9111 §5.1). Seconds since the epoch. */
  readonly date: number | undefined;
  /** How long the exchange took. Seconds. */
  readonly duration: number;
}

export interface HttpResponse {
  readonly body: string;
  /** The media type, in lower case and without parameters. */
  readonly type: string;
  /** `Cache-Control: max-age` (RFC 9111 §5.2.2.1). Seconds. */
  readonly maxAge: number | undefined;
}

export interface JsonResponse extends HttpResponse {
  readonly json: Record<string, unknown>;
}

/** Limits of metadata and key sets: a JWKS of 1,000 keys with certificates fits. */
const DOCUMENT_LIMITS = { maxDepth: 32, maxMembers: 50_000 };
/** Limits of an error response. */
const ERROR_LIMITS = { maxDepth: 4, maxMembers: 50 };
const MAX_ERROR_BYTES = 16_384;
/** RFC 9110 §15.4: the others of 3xx name no address, such as 304. */
const REDIRECTS = [301, 302, 303, 307, 308];

/**
 * How often a request is sent if the connection was closed. Each attempt takes one dead connection out of the pool; three
 * are enough for a pool in which all are dead, because a connection that failed is replaced by a new one.
 */
const MAX_ATTEMPTS = 4;

/** The `error` codes of RFC 6749 §5.2, RFC 6750 §3.1 and RFC 7009 §2.2.1. Other text may repeat our request. */
const OAUTH_CODES = [
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'invalid_token',
  'insufficient_scope',
  'unsupported_token_type',
  'access_denied',
  'server_error',
  'temporarily_unavailable',
];

/** The name of a URL in messages. If a response contained it, only its origin is quoted. */
export function nameOf(url: string, { discoveredAs }: HttpOptions): string {
  return discoveredAs === undefined ? withoutQuery(url) : `${originOf(url)} (${discoveredAs} of the metadata)`;
}

/** What a request is sent to. */
interface Target {
  readonly url: string;
  /** For messages. */
  readonly name: string;
}

/** Fetches a JSON object. Every failure is an `HttpError`. */
export async function fetchJson(...request: Parameters<typeof fetchResponse>): Promise<JsonResponse> {
  const response = await fetchResponse(...request);
  const json = parseJsonObject(response.body, DOCUMENT_LIMITS);
  if (json !== undefined) return { ...response, json };
  const name = nameOf(request[0], request[1]);
  const text =
    response.type === 'text/html'
      ? `${name} returned an HTML page, and not a JSON object`
      : `${name} did not return a JSON object, or returned too many members`;
  throw new HttpError('invalid', text, { mistake: 'not_json' });
}

/** Fetches a document of any type. Every failure is an `HttpError`. */
export async function fetchResponse(
  url: string,
  http: HttpOptions,
  closing?: AbortSignal,
  init: FetchInit = {},
): Promise<HttpResponse> {
  const name = nameOf(url, http);
  const target: Target = { url, name };
  const deadline = new AbortController();
  const expired = new Promise<never>((_, reject) => {
    const stop = (error: HttpError): void => {
      reject(error);
      deadline.abort(error);
    };
    const stopTimer = startDeadline(http.timeout, () => {
      const text = `${name} did not respond within ${http.timeout} s`;
      stop(new HttpError('timeout', text, { origin: originOf(url) }));
    });
    const close = (): void => {
      const reason: unknown = closing?.reason;
      const text = reason instanceof HttpError ? reason.message : 'the verifier was closed';
      const failure = reason instanceof HttpError ? reason.failure : 'unreachable';
      stop(new HttpError(failure, `the request to ${name} was aborted: ${text}`, { origin: originOf(url) }));
    };
    closing?.addEventListener('abort', close, { once: true });
    deadline.signal.addEventListener('abort', () => {
      stopTimer();
      closing?.removeEventListener('abort', close);
    });
    if (closing?.aborted === true) close();
  });
  try {
    // A `fetch` from the options may ignore the signal. The deadline still applies.
    return await Promise.race([exchange(target, http, { ...init, signal: deadline.signal }), expired]);
  } finally {
    deadline.abort();
  }
}

async function exchange(target: Target, http: HttpOptions, init: FetchInit): Promise<HttpResponse> {
  const start = performance.now();
  const response = await send(target, http, { redirect: 'manual', ...init });
  const status = checkResponse(target.name, response);
  if (status !== 200) throw await failureOf(target, status, response);
  const body = await read(target, response, http.maxBytes);
  const duration = (performance.now() - start) / 1000;
  http.onResponse?.({ origin: originOf(target.url), date: readDate(response), duration });
  return { body, type: mediaTypeOf(response), maxAge: readMaxAge(readHeader(response, 'cache-control')) };
}

function mediaTypeOf(response: FetchResponse): string {
  return (readHeader(response, 'content-type') ?? '').replace(/;.*$/s, '').trim().toLowerCase();
}

function originOf(url: string): string {
  return parseUrl(url)?.origin ?? '';
}

async function failureOf(target: Target, status: number, response: FetchResponse): Promise<HttpError> {
  const { url, name } = target;
  if (status === 400) {
    const body = await read(target, response, MAX_ERROR_BYTES);
    const error = parseJsonObject(body, ERROR_LIMITS)?.error;
    const code = OAUTH_CODES.find((known) => known === error);
    return new HttpError('status', `${name} responded 400`, { status, code });
  }
  await discardBody(response);
  // The location is not quoted: it may contain what we sent.
  if (REDIRECTS.includes(status)) {
    const location = isSameOrigin(url, readHeader(response, 'location')) ? 'the same origin' : 'another origin';
    return new HttpError('redirect', `${name} redirects to ${location}, which is not followed`, { status });
  }
  const retryAfter = status === 429 || status === 503 ? readRetryAfter(response) : undefined;
  const html = mediaTypeOf(response) === 'text/html' ? ' with an HTML page' : '';
  return new HttpError('status', `${name} responded ${status}${html}`, { status, retryAfter });
}

function isSameOrigin(url: string, location = ''): boolean {
  const target = parseUrl(location, url);
  return target !== undefined && target.origin === parseUrl(url)?.origin;
}

async function send(target: Target, http: HttpOptions, init: FetchInit): Promise<FetchResponse> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await http.fetch(target.url, init);
    } catch (error) {
      const isRetried = attempt < MAX_ATTEMPTS && isClosedConnection(error) && init.signal?.aborted !== true;
      if (!isRetried) throw unreachable(target, error);
    }
    // The pool removes the closed connection.
    await nextTurn();
  }
}

async function read(target: Target, response: FetchResponse, maxBytes: number): Promise<string> {
  try {
    return await readBody(target.name, response, maxBytes);
  } catch (error) {
    throw unreachable(target, error);
  }
}

/**
 * The error for a request that failed. The original error is not its cause: it may contain bytes of the response (`data` of
 * parse errors) or of our request (header values).
 */
function unreachable({ url, name }: Target, error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  const { reason, systemCode } = describeFailure(error);
  const text = `${name} is not reachable${reason === undefined ? '' : `: ${reason}`}`;
  return new HttpError('unreachable', text, { systemCode, origin: originOf(url) });
}

function readMaxAge(cacheControl: string | undefined): number | undefined {
  const digits = /(?:^|,)[ \t]*max-age="?(\d{1,10})/i.exec(cacheControl ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The time of the server when it sent the response; one from a cache has an `Age`. Seconds since the epoch. */
function readDate(response: FetchResponse): number | undefined {
  const date = Date.parse(readHeader(response, 'date') ?? '');
  const age = readHeader(response, 'age')?.trim() ?? '';
  return Number.isNaN(date) ? undefined : date / 1000 + (/^\d{1,9}$/.test(age) ? Number(age) : 0);
}

/** `Retry-After` (RFC 9110 §10.2.3): seconds, or a date, which counts from the `Date` of the response. Seconds. */
function readRetryAfter(response: FetchResponse): number | undefined {
  const value = readHeader(response, 'retry-after')?.trim() ?? '';
  if (/^\d{1,10}$/.test(value)) return Number(value);
  const time = Date.parse(value);
  if (Number.isNaN(time)) return undefined;
  const date = Date.parse(readHeader(response, 'date') ?? '');
  return Math.max(0, (time - (Number.isNaN(date) ? Date.now() : date)) / 1000);
}
