import {
  ConfigurationError,
  InsufficientAuthenticationError,
  InsufficientScopeError,
  InvalidDpopProofError,
  MissingTokenError,
  type ResourceServerError,
  UpstreamError,
} from './errors.js';

/** How a token is presented: RFC 6750 §2.1, RFC 9449 §7.1. */
export type Scheme = 'Bearer' | 'DPoP';

/** What a middleware adds to the challenges it sends. */
export interface ChallengeContext {
  /** Names the protection space (RFC 9110 §11.5). */
  readonly realm?: string | undefined;
  /** The schemes that are taken: each has a challenge. */
  readonly schemes: readonly Scheme[];
  /** The algorithms that a DPoP proof may be signed with: `algs` of its challenge. */
  readonly algs: readonly string[];
  /** Where the metadata of the resource is: `resource_metadata` of each challenge (RFC 9728 §5.1). */
  readonly resourceMetadata?: string | undefined;
  /** `scope` of each challenge, unless a gate names scopes of its own (RFC 6750 §3). */
  readonly challengeScopes?: readonly string[] | undefined;
  /** The scopes of a gate under the names that clients request. @default the same names */
  readonly requestedScopes?: ((scopes: readonly string[]) => readonly string[]) | undefined;
}

/**
 * The one place that writes a quoted-string (RFC 9110 §5.6.4). Whatever it is given, the result is printable ASCII with
 * quotes and backslashes escaped: no line break, no octet that Node rejects in a header.
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
 * The header fields of the response to an error: `WWW-Authenticate` for the caller's failures (RFC 6750 §3, RFC 9449
 * §7.1), `Retry-After` for the upstream's, none for the programmer's.
 */
export function headersOf(
  error: ResourceServerError,
  context: ChallengeContext,
  presented?: Scheme,
): Readonly<Record<string, string>> {
  if (error instanceof ConfigurationError) return {};
  if (error instanceof UpstreamError) {
    return { 'Cache-Control': 'no-store', 'Retry-After': String(error.retryAfter) };
  }
  const headers = { 'Cache-Control': 'no-store', 'WWW-Authenticate': challenges(error, context, presented) };
  const nonce = error instanceof InvalidDpopProofError ? error.nonce : undefined;
  return nonce === undefined ? headers : { ...headers, 'DPoP-Nonce': nonce };
}

// RFC 9449 §7.2: the error is in the challenge of the scheme that the request used, or of each scheme if that is not clear.
function challenges(
  error: ResourceServerError,
  { realm, schemes, algs, resourceMetadata, challengeScopes, requestedScopes = asTheyAre }: ChallengeContext,
  presented?: Scheme,
): string {
  const used = error instanceof InvalidDpopProofError ? 'DPoP' : presented;
  const isClear = schemes.some((scheme) => scheme === used);
  const needed = neededFor(error, requestedScopes);
  const details = {
    error: error.code,
    error_description: error.code === undefined ? undefined : error.message,
    ...needed,
  };
  // Some clients read the first `scope` of the header field, so each scheme has the same.
  const usual = challengeScopes === undefined ? {} : { scope: needed.scope ?? joined(challengeScopes) };
  return schemes
    .map((scheme) => {
      const parameters = {
        realm,
        ...usual,
        ...(isClear && scheme !== used ? {} : { ...details, ...usual }),
        resource_metadata: resourceMetadata,
        algs: scheme === 'DPoP' ? joined(algs) : undefined,
      };
      // RFC 6750 §3: Bearer is followed by a parameter. Some clients read nothing from "Bearer, DPoP …".
      const isBare = schemes.length > 1 && Object.values(parameters).every((value) => value === undefined);
      return challenge(scheme, isBare ? { realm: DEFAULT_REALM } : parameters);
    })
    .join(', ');
}

const DEFAULT_REALM = 'api';

function asTheyAre(scopes: readonly string[]): readonly string[] {
  return scopes;
}

/** What would be enough: RFC 6750 §3 `scope`, RFC 9470 §3 `acr_values` and `max_age`. */
function neededFor(
  error: ResourceServerError,
  requestedScopes: (scopes: readonly string[]) => readonly string[],
): Record<string, string | undefined> {
  if (error instanceof InsufficientScopeError || error instanceof MissingTokenError) {
    return { scope: joined(requestedScopes(error.scopes)) };
  }
  if (!(error instanceof InsufficientAuthenticationError)) return {};
  return { acr_values: joined(error.acrValues), max_age: error.maxAge?.toString() };
}

function joined(values: readonly string[]): string | undefined {
  return values.length === 0 ? undefined : values.join(' ');
}
