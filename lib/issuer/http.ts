/** Requests to the authorization server: one deadline for the whole exchange, a maximum size, no redirects. */

/** A function like the global `fetch`, for proxies, custom certificate authorities and client certificates. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface HttpOptions {
  readonly fetch: Fetch;
  /** Deadline of the whole exchange, body included. Seconds. */
  readonly timeout: number;
  /** Maximum size of the body of a response, after decompression. */
  readonly maxBytes: number;
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

export type HttpFailure = 'unreachable' | 'timeout' | 'redirect' | 'status' | 'too_large' | 'invalid';

// Two copies of the package in one process recognize each other's errors.
const HTTP_ERROR = Symbol.for('express-resource-server.http-error.v1');

/** Why a request to the authorization server failed: the `cause` of an `UpstreamError`. */
export class HttpError extends Error {
  readonly failure: HttpFailure;
  /** HTTP status of the response, if there was one. */
  readonly status: number | undefined;
  /** `error` of an OAuth error response (RFC 6749 §5.2), if the response was one. */
  readonly code: string | undefined;

  constructor(
    failure: HttpFailure,
    message: string,
    options?: ErrorOptions & { status?: number; code?: string | undefined },
  ) {
    super(message, options);
    this.name = 'HttpError';
    this.failure = failure;
    this.status = options?.status;
    this.code = options?.code;
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    // A subclass of the application: the ordinary rule.
    if (this !== HttpError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === 'object' && value !== null && HTTP_ERROR in value;
  }
}

Object.defineProperty(HttpError.prototype, HTTP_ERROR, { value: true });

// Errors of a pooled connection that the server closed before our request arrived.
const CLOSED_CONNECTION = new Set<unknown>(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

/** Fetches a JSON object. Every failure is an `HttpError`. */
export async function fetchJson(...request: Parameters<typeof fetchResponse>): Promise<JsonResponse> {
  const response = await fetchResponse(...request);
  const json = parseObject(response.body);
  if (json === undefined) throw new HttpError('invalid', `${request[0]} did not return a JSON object`);
  return { ...response, json };
}

/** Fetches a document of any type. Every failure is an `HttpError`. */
export async function fetchResponse(
  url: string,
  http: HttpOptions,
  closing?: AbortSignal,
  init: RequestInit = {},
): Promise<HttpResponse> {
  const deadline = new AbortController();
  const expired = new Promise<never>((_, reject) => {
    const stop = (error: HttpError): void => {
      reject(error);
      deadline.abort(error);
    };
    const timer = setTimeout(() => {
      stop(new HttpError('timeout', `${url} did not respond within ${http.timeout} s`));
    }, http.timeout * 1000);
    timer.unref();
    const close = (): void => {
      stop(new HttpError('unreachable', `the request to ${url} was aborted: the verifier was closed`));
    };
    closing?.addEventListener('abort', close, { once: true });
    deadline.signal.addEventListener('abort', () => {
      clearTimeout(timer);
      closing?.removeEventListener('abort', close);
    });
    if (closing?.aborted === true) close();
  });
  try {
    // A `fetch` from the options may ignore the signal. The deadline still applies.
    return await Promise.race([exchange(url, http, { ...init, signal: deadline.signal }), expired]);
  } finally {
    deadline.abort();
  }
}

async function exchange(url: string, http: HttpOptions, init: RequestInit): Promise<HttpResponse> {
  const response = await send(url, http, { redirect: 'manual', ...init });
  if (response.status === 400) {
    const error = parseObject(decode(url, await readBody(url, response, http.maxBytes)))?.error;
    const code = typeof error === 'string' ? error : undefined;
    throw new HttpError('status', `${url} responded 400`, { status: 400, code });
  }
  if (response.status !== 200) {
    await response.body?.cancel();
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location !== null) {
      throw new HttpError('redirect', `${url} redirects to ${location}, which is not followed`, {
        status: response.status,
      });
    }
    throw new HttpError('status', `${url} responded ${response.status}`, { status: response.status });
  }
  const { headers } = response;
  return {
    body: decode(url, await readBody(url, response, http.maxBytes)),
    type: (headers.get('content-type') ?? '').replace(/;.*$/s, '').trim().toLowerCase(),
    maxAge: readMaxAge(headers.get('cache-control')),
  };
}

async function send(url: string, http: HttpOptions, init: RequestInit): Promise<Response> {
  try {
    return await http.fetch(url, init);
  } catch (error) {
    if (!isClosedConnection(error) || init.signal?.aborted === true) throw unreachable(url, error);
  }
  try {
    return await http.fetch(url, init);
  } catch (error) {
    throw unreachable(url, error);
  }
}

// `fetch` puts the reason of a failure into `cause`.
function isClosedConnection(error: unknown): boolean {
  return [error, memberOf(error, 'cause')].some((each) => CLOSED_CONNECTION.has(memberOf(each, 'code')));
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function unreachable(url: string, cause: unknown): HttpError {
  return cause instanceof HttpError ? cause : new HttpError('unreachable', `${url} is not reachable`, { cause });
}

async function readBody(url: string, response: Response, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader();
  try {
    for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
      size += part.value.byteLength;
      if (size > maxBytes) break;
      chunks.push(part.value);
    }
  } catch (cause) {
    throw unreachable(url, cause);
  }
  if (size > maxBytes) {
    await reader?.cancel();
    throw new HttpError('too_large', `${url} returned more than ${maxBytes} bytes`);
  }
  return Buffer.concat(chunks);
}

function decode(url: string, body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (cause) {
    throw new HttpError('invalid', `${url} did not return UTF-8`, { cause });
  }
}

/** Parses a JSON object; `undefined` for anything else. */
export function parseObject(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function readMaxAge(cacheControl: string | null): number | undefined {
  const digits = /(?:^|,)[ \t]*max-age="?(\d{1,10})/i.exec(cacheControl ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}
