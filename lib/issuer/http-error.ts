/** How a request failed. `invalid`: the response is not the document that was expected. */
export type HttpFailure = 'unreachable' | 'timeout' | 'redirect' | 'status' | 'too_large' | 'invalid';

/** What is wrong with a response that is `invalid`, if it is one of the usual mistakes. */
export type HttpMistake =
  'not_json' | 'issuer_mismatch' | 'jwks_uri_missing' | 'introspection_endpoint_missing' | 'no_usable_key';

// Two copies of the package in one process recognize each other's errors.
const HTTP_ERROR = Symbol.for('express-resource-server.http-error.v1');

/**
 * Why a request to the authorization server failed: the `cause` of an `UpstreamError`. It quotes nothing of the response,
 * except the `issuer` of metadata and the origins of its addresses.
 */
export class HttpError extends Error {
  readonly failure: HttpFailure;
  /** HTTP status of the response, if there was one. */
  readonly status: number | undefined;
  /** `error` of an OAuth error response, if it is a code of the OAuth RFCs. */
  readonly code: string | undefined;
  /** `Retry-After` of a 429 or 503 response. Seconds. */
  readonly retryAfter: number | undefined;
  /** `code` of the system or TLS error, such as `ENOTFOUND`, if there was no response. */
  readonly systemCode: string | undefined;
  readonly mistake: HttpMistake | undefined;
  /** The origin of the URL that was called, if there was no complete response. */
  readonly origin: string | undefined;

  constructor(
    failure: HttpFailure,
    message: string,
    options?: {
      cause?: unknown;
      status?: number | undefined;
      code?: string | undefined;
      retryAfter?: number | undefined;
      systemCode?: string | undefined;
      mistake?: HttpMistake | undefined;
      origin?: string | undefined;
    },
  ) {
    super(message, options);
    this.name = 'HttpError';
    this.failure = failure;
    this.status = options?.status;
    this.code = options?.code;
    this.retryAfter = options?.retryAfter;
    this.systemCode = options?.systemCode;
    this.mistake = options?.mistake;
    this.origin = options?.origin;
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    // A subclass of the application: the ordinary rule.
    if (this !== HttpError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === 'object' && value !== null && HTTP_ERROR in value;
  }
}

Object.defineProperty(HttpError.prototype, HTTP_ERROR, { value: true });
