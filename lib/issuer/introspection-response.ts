import { InvalidTokenError } from '../errors.js';
import { type Audience, isAccepted } from '../token/audience.js';
import { claim, type Claims, readAudience } from '../token/claims.js';
import { checkTimes } from '../token/claim-checks.js';
import { type ParsedJwt, parseJwt } from '../token/parse-jwt.js';
import type { Clock } from '../util/clock.js';
import { isPlainObject } from '../util/is-plain-object.js';
import { parseJsonObject } from '../util/json.js';
import type { HttpOptions, HttpResponse } from './http.js';
import { HttpError } from './http-error.js';
import type { KeySource } from './key-set.js';
import { verifySignature } from './verify-signature.js';

/** Requirements for a signed response (RFC 9701 §5). */
export interface SignedResponseRules {
  readonly keys: KeySource;
  readonly issuer: string;
  /** Our client id and our audiences: `aud` must contain one of them. */
  readonly recipients: readonly Audience[];
  readonly algorithms: ReadonlySet<string>;
}

/** What reading a response needs. */
interface ResponseOptions {
  readonly http: HttpOptions;
  /** `undefined` if the response is plain JSON. */
  readonly signed: SignedResponseRules | undefined;
  readonly clock: Clock;
}

export const SIGNED_TYPE = 'application/token-introspection+jwt';
/** Maximum age of a signed response, and the clock tolerance. Seconds. */
const SIGNED_TIMES = { clockTolerance: 10, maxTokenAge: 300 };

/** Limits of a plain response. */
const RESPONSE_LIMITS = { maxDepth: 32, maxMembers: 4_096 };
/**
 * Reads an introspection response, plain or signed.
 *
 * @throws HttpError if it is not one; UpstreamError if the keys of signed responses are unavailable.
 */
export async function readIntrospectionResponse(
  { body, type }: HttpResponse,
  options: ResponseOptions,
): Promise<Claims & { readonly active: boolean }> {
  const { signed } = options;
  if (signed !== undefined && type !== SIGNED_TYPE)
    throw new HttpError('invalid', 'the response is not of the type for signed responses');
  const response =
    signed === undefined ? parseJsonObject(body, RESPONSE_LIMITS) : await readSigned(body, signed, options);
  if (response === undefined) {
    const found = type === 'text/html' ? 'returned an HTML page, and not' : 'did not return';
    const text = `the introspection endpoint ${found} an introspection response`;
    throw new HttpError('invalid', text, { mistake: signed === undefined ? 'not_json' : undefined });
  }
  // RFC 7662 §2.2: `active` is a boolean.
  const active = claim(response, 'active');
  if (typeof active !== 'boolean') {
    throw new HttpError('invalid', 'the introspection response has no member active that is true or false');
  }
  return { ...response, active };
}

async function readSigned(
  body: string,
  signed: SignedResponseRules,
  { http, clock }: ResponseOptions,
): Promise<Claims | undefined> {
  const jwt = parseSigned(body, http.maxBytes);
  const { header, claims } = jwt;
  const isOurs =
    header.typ?.toLowerCase().replace(/^application\//, '') === 'token-introspection+jwt' &&
    signed.algorithms.has(header.alg) &&
    header.crit === undefined &&
    claim(claims, 'iss') === signed.issuer &&
    typeof claim(claims, 'iat') === 'number' &&
    readAudience(claims).some((each) => isAccepted(each, signed.recipients));
  if (!isOurs) throw new HttpError('invalid', 'the signed response is not from this issuer, not for us, or malformed');
  try {
    checkTimes(claims, SIGNED_TIMES, clock());
    await verifySignature(jwt, signed.keys);
  } catch (cause) {
    if (!(cause instanceof InvalidTokenError)) throw cause;
    throw new HttpError('invalid', 'the signed response does not verify', { cause });
  }
  const info = claim(claims, 'token_introspection');
  return isPlainObject(info) ? info : undefined;
}

function parseSigned(body: string, maxBytes: number): ParsedJwt {
  try {
    return parseJwt(body, maxBytes);
  } catch {
    throw new HttpError('invalid', 'the signed response is not a JWT');
  }
}
