import { claim, type Claims, readAudience } from './claims.js';
import { rejectToken } from './reject-token.js';

/** What times are held against. */
export interface TimeRules {
  /** Seconds. */
  readonly clockTolerance: number;
  /** Seconds. */
  readonly maxTokenAge: number | undefined;
}

const STRING_CLAIMS = ['sub', 'client_id', 'jti'];

/** `iss` must be exactly this one (RFC 8414 §2, RFC 9207 §2.4: compared as strings). */
export function checkIssuer(claims: Claims, issuer: string): void {
  const found = claim(claims, 'iss');
  if (found !== issuer) rejectToken('issuer_mismatch', 'iss', issuer, found);
}

/** `aud` must hold one of these (RFC 7519 §4.1.3); `false` accepts any, and none. */
export function checkAudience(claims: Claims, accepted: readonly string[] | false): void {
  if (accepted === false) return;
  const audience = claim(claims, 'aud');
  if (audience === undefined) rejectToken('audience_missing', 'aud', accepted, undefined);
  if (!readAudience(claims).some((each) => accepted.includes(each))) {
    rejectToken('audience_mismatch', 'aud', accepted, audience);
  }
}

/** `exp`, `nbf` and `iat` (RFC 7519 §4.1.4 to §4.1.6), those that are there. */
export function checkTimes(claims: Claims, { clockTolerance, maxTokenAge }: TimeRules, now: number): void {
  const exp = numericDate(claims, 'exp');
  // On or after this time the token must not be accepted.
  if (exp !== undefined && now >= exp + clockTolerance)
    rejectToken('expired', 'exp', `later than ${now - clockTolerance}`, exp);
  const latest = now + clockTolerance;
  const nbf = numericDate(claims, 'nbf');
  if (nbf !== undefined && nbf > latest) rejectToken('not_yet_valid', 'nbf', `${latest} or earlier`, nbf);
  const iat = numericDate(claims, 'iat');
  if (iat === undefined) return;
  if (iat > latest) rejectToken('issued_in_future', 'iat', `${latest} or earlier`, iat);
  if (maxTokenAge !== undefined && now >= iat + maxTokenAge + clockTolerance) {
    rejectToken('too_old', 'iat', `later than ${now - maxTokenAge - clockTolerance}`, iat);
  }
}

/** Until when the times hold: `exp`, or `maxTokenAge` after `iat`, each with the tolerance. Seconds since the epoch. */
export function validUntil(claims: Claims, { clockTolerance, maxTokenAge }: TimeRules): number {
  const exp = numericDate(claims, 'exp') ?? Number.POSITIVE_INFINITY;
  const iat = numericDate(claims, 'iat') ?? Number.POSITIVE_INFINITY;
  return Math.min(exp, iat + (maxTokenAge ?? Number.POSITIVE_INFINITY)) + clockTolerance;
}

/** Claims that must be there, whatever their value. */
export function checkRequired(claims: Claims, names: readonly string[]): void {
  for (const name of names) {
    if (claim(claims, name) === undefined) rejectToken('claim_missing', name, 'any value', undefined);
  }
}

/** Claims that are strings where they are there: a number for `sub` must not make a person look like a machine. */
export function checkStrings(claims: Claims): void {
  for (const name of STRING_CLAIMS) {
    const value = claim(claims, name);
    if (value !== undefined && typeof value !== 'string') rejectToken('claim_malformed', name, 'a string', value);
  }
}

function numericDate(claims: Claims, name: string): number | undefined {
  const value = claim(claims, name);
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value))
    rejectToken('claim_malformed', name, 'a finite number', value);
  return value;
}
