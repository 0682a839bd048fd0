import { InvalidTokenError, type InvalidTokenReason } from '../errors.js';
import type { ClaimMapping } from '../token/access-token.js';
import { claim, readAudience } from '../token/claims.js';
import type { JwtHeader } from '../token/jwt.js';

/** What a JWT must be to be accepted here. */
export interface JwtRules extends ClaimMapping {
  readonly issuer: string;
  readonly audience: readonly string[] | false;
  readonly algorithms: ReadonlySet<string>;
  readonly profile: 'rfc9068' | undefined;
  /** Seconds. */
  readonly clockTolerance: number;
  /** Seconds. */
  readonly maxTokenAge: number | undefined;
  readonly requiredClaims: readonly string[];
}

/** What a refusal rested on, as the error's `cause`: for a developer's eyes, not for the wire. */
export interface Finding {
  readonly checked: string;
  readonly expected: unknown;
  readonly found: unknown;
}

type Claims = Readonly<Record<string, unknown>>;

const STRICT_TYPE = 'application/at+jwt';
const ANY_TYPE: readonly unknown[] = [STRICT_TYPE, 'application/jwt', undefined];
/** RFC 9068 §2.2. */
const STRICT_CLAIMS = ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'];
/** OpenID Connect Core 1.0 §3.1.3.6 and §3.3.2.11: only an ID token carries the hash of something issued beside it. */
const ID_TOKEN_CLAIMS = ['at_hash', 'c_hash', 's_hash'];
const STRING_CLAIMS = ['sub', 'client_id', 'jti'];

/** The header, before any key is looked for (RFC 8725 §3.1 and §3.11, RFC 9068 §4). */
export function checkHeader(header: JwtHeader, rules: JwtRules): void {
  if (!rules.algorithms.has(header.alg)) refuse('algorithm_refused', 'alg', [...rules.algorithms], header.alg);
  const type = mediaType(header.typ);
  const accepted = rules.profile === undefined ? ANY_TYPE : [STRICT_TYPE];
  if (!accepted.includes(type)) refuse('type_refused', 'typ', accepted, header.typ);
  checkCritical(header);
}

/** The claims, cheap ones first. They are looked at before the signature and believed only after it. */
export function checkClaims(claims: Claims, rules: JwtRules, now: number): void {
  const issuer = claim(claims, 'iss');
  if (issuer !== rules.issuer) refuse('issuer_mismatch', 'iss', rules.issuer, issuer);
  for (const name of ID_TOKEN_CLAIMS) {
    if (Object.hasOwn(claims, name)) refuse('id_token', name, undefined, claims[name]);
  }
  if (rules.audience !== false) {
    const audience = readAudience(claims);
    if (!audience.some((each) => rules.audience !== false && rules.audience.includes(each))) {
      refuse('audience_mismatch', 'aud', rules.audience, claim(claims, 'aud'));
    }
  }
  checkTimes(claims, rules, now);
  const required = rules.profile === undefined ? rules.requiredClaims : [...STRICT_CLAIMS, ...rules.requiredClaims];
  for (const name of required) {
    if (!Object.hasOwn(claims, name)) refuse('claim_missing', name, 'any value', undefined);
  }
  for (const name of STRING_CLAIMS) {
    const value = claim(claims, name);
    if (value !== undefined && typeof value !== 'string') refuse('claim_malformed', name, 'a string', value);
  }
}

/** Until when the claims hold: `exp`, or `maxTokenAge` after `iat`, each with the tolerance. Seconds since the epoch. */
export function validUntil(claims: Claims, rules: JwtRules): number {
  const exp = numericDate(claims, 'exp') ?? Number.NEGATIVE_INFINITY;
  const iat = numericDate(claims, 'iat') ?? Number.NEGATIVE_INFINITY;
  const oldest = rules.maxTokenAge === undefined ? Number.POSITIVE_INFINITY : iat + rules.maxTokenAge;
  return Math.min(exp, oldest) + rules.clockTolerance;
}

function checkTimes(claims: Claims, rules: JwtRules, now: number): void {
  const { clockTolerance, maxTokenAge } = rules;
  const exp = numericDate(claims, 'exp');
  if (exp === undefined) refuse('claim_missing', 'exp', 'a number', undefined);
  // RFC 7519 §4.1.4: on or after this time the token must not be accepted.
  if (now >= exp + clockTolerance) refuse('expired', 'exp', `later than ${now - clockTolerance}`, exp);
  const nbf = numericDate(claims, 'nbf');
  if (nbf !== undefined && nbf > now + clockTolerance) {
    refuse('not_yet_valid', 'nbf', `${now + clockTolerance} or earlier`, nbf);
  }
  const iat = numericDate(claims, 'iat');
  if (iat !== undefined && iat > now + clockTolerance) {
    refuse('issued_in_future', 'iat', `${now + clockTolerance} or earlier`, iat);
  }
  if (maxTokenAge === undefined) return;
  if (iat === undefined) refuse('claim_missing', 'iat', 'a number', undefined);
  if (now >= iat + maxTokenAge + clockTolerance) {
    refuse('too_old', 'iat', `later than ${now - maxTokenAge - clockTolerance}`, iat);
  }
}

function numericDate(claims: Claims, name: string): number | undefined {
  const value = claim(claims, name);
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value)) refuse('claim_malformed', name, 'a finite number', value);
  return value;
}

// RFC 7515 §4.1.9: a media type, compared without regard to case, whose "application/" may be left out.
function mediaType(typ: string | undefined): string | undefined {
  const type = typ?.toLowerCase();
  return type === undefined || type.includes('/') ? type : `application/${type}`;
}

/**
 * RFC 7515 §4.1.11, as jose has it: the one extension that is known is `b64` (RFC 7797), and a JWT may not turn it off
 * (RFC 7797 §7).
 */
function checkCritical(header: JwtHeader): void {
  if (header.crit === undefined) return;
  const critical: unknown[] = Array.isArray(header.crit) ? header.crit : [];
  const isKnown = critical.length > 0 && critical.every((name) => name === 'b64');
  if (!isKnown || header.b64 !== true) refuse('critical_refused', 'crit', ['b64'], header.crit);
}

function refuse(reason: InvalidTokenReason, checked: string, expected: unknown, found: unknown): never {
  const cause: Finding = { checked, expected, found };
  throw new InvalidTokenError(reason, { cause });
}
