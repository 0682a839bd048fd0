import {
  ConfigurationError,
  InsufficientAuthenticationError,
  InsufficientScopeError,
  type ResourceServerError,
  UpstreamError,
} from './errors.js';

/** What a middleware adds to the challenges it sends. */
export interface ChallengeContext {
  /** Names the protection space (RFC 9110 §11.5). */
  readonly realm?: string | undefined;
}

/**
 * The one place that writes a quoted-string (RFC 9110 §5.6.4). Whatever it is given, the result is printable ASCII with
 * quotes and backslashes escaped: no line break, no octet that Node refuses in a header.
 */
export function quote(value: string): string {
  return `"${value.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`;
}

/** A challenge (RFC 9110 §11.6.1): the scheme and those parameters that have a value. */
export function challenge(scheme: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const written = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${quote(value)}`],
  );
  return written.length === 0 ? scheme : `${scheme} ${written.join(', ')}`;
}

/**
 * The header fields with which an error is answered: `WWW-Authenticate` for the caller's failures (RFC 6750 §3),
 * `Retry-After` for the upstream's, none for the programmer's.
 */
export function headersOf(error: ResourceServerError, context: ChallengeContext): Readonly<Record<string, string>> {
  if (error instanceof ConfigurationError) return {};
  if (error instanceof UpstreamError) {
    return { 'Cache-Control': 'no-store', 'Retry-After': String(error.retryAfter) };
  }
  return {
    'Cache-Control': 'no-store',
    'WWW-Authenticate': challenge('Bearer', {
      realm: context.realm,
      error: error.code,
      error_description: error.code === undefined ? undefined : error.message,
      ...neededFor(error),
    }),
  };
}

/** What would be enough: RFC 6750 §3 `scope`, RFC 9470 §3 `acr_values` and `max_age`. */
function neededFor(error: ResourceServerError): Record<string, string | undefined> {
  if (error instanceof InsufficientScopeError) return { scope: joined(error.scopes) };
  if (!(error instanceof InsufficientAuthenticationError)) return {};
  return { acr_values: joined(error.acrValues), max_age: error.maxAge?.toString() };
}

function joined(values: readonly string[]): string | undefined {
  return values.length === 0 ? undefined : values.join(' ');
}
