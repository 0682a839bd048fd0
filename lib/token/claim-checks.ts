import { type Audience, isAccepted } from './audience.js';
import { claim, type Claims, readAudience } from './claims.js';
import { rejectToken } from './reject-token.js';

/** The rules for times. */
export interface TimeRules {
  /** Seconds. */
  readonly clockTolerance: number;
  /** Seconds. */
  readonly maxTokenAge: number | undefined;
}

/**
 * How far `iat` may be in the future, whatever `clockTolerance` is. `iat` does not limit when a token is valid (RFC 7519
 * §4.1.6), but a time far in the future shows that a clock is wrong. FAPI 2.0 Security Profile §5.3.2.1 names this limit.
 */
const MAX_SECONDS_AHEAD = 60;

const STRING_CLAIMS = ['sub', 'client_id', 'jti'];

/** Seconds since the epoch: in the year 5138. As milliseconds, it is a time in 1973. */
const LATEST_TIME = 100_000_000_000;

/** Whether a time is probably in milliseconds. It is read as seconds, because RFC 7519 has no latest time. */
export function isInMilliseconds(time: unknown): boolean {
  return typeof time === 'number' && Number.isFinite(time) && time > LATEST_TIME;
}

/** What to change if `exp` is in milliseconds. */
export function expiryNote(exp: unknown): string | undefined {
  return isInMilliseconds(exp)
    ? 'exp is in milliseconds, so the token practically never expires. The server must write seconds.'
    : undefined;
}

/** `iss` must be exactly this value (RFC 8414 §2, RFC 9207 §2.4: compared as strings). */
export function checkIssuer(claims: Claims, issuer: string): void {
  const found = claim(claims, 'iss');
  if (found !== issuer) rejectToken('issuer_mismatch', 'iss', issuer, found);
}

/** `aud` must contain one of these (RFC 7519 §4.1.3); `false` accepts any `aud`, and none. */
export function checkAudience(claims: Claims, accepted: readonly Audience[] | false): void {
  if (accepted === false) return;
  const audience = claim(claims, 'aud');
  if (audience === undefined) rejectToken('audience_missing', 'aud', accepted, undefined);
  if (!readAudience(claims).some((each) => isAccepted(each, accepted))) {
    rejectToken('audience_mismatch', 'aud', accepted, audience);
  }
}

/** `exp` (RFC 7519 §4.1.4): on or after this time, the token must not be accepted. */
export function checkExpiry(claims: Claims, { clockTolerance }: TimeRules, now: number): void {
  const exp = numericDate(claims, 'exp');
  if (exp !== undefined && now >= exp + clockTolerance)
    rejectToken('expired', 'exp', `later than ${now - clockTolerance}`, exp);
}

/** `nbf` (RFC 7519 §4.1.5). */
export function checkNotBefore(claims: Claims, { clockTolerance }: TimeRules, now: number): void {
  const nbf = numericDate(claims, 'nbf');
  const latest = now + clockTolerance;
  if (nbf !== undefined && nbf > latest) rejectToken('not_yet_valid', 'nbf', `${latest} or earlier`, nbf);
}

/** `iat` (RFC 7519 §4.1.6), and how long ago it may be. */
export function checkIssuedAt(claims: Claims, { clockTolerance, maxTokenAge }: TimeRules, now: number): void {
  const iat = numericDate(claims, 'iat');
  if (iat === undefined) return;
  const latestIssue = now + Math.max(clockTolerance, MAX_SECONDS_AHEAD);
  if (iat > latestIssue) rejectToken('issued_in_future', 'iat', `${latestIssue} or earlier`, iat);
  if (maxTokenAge !== undefined && now >= iat + maxTokenAge + clockTolerance) {
    rejectToken('too_old', 'iat', `later than ${now - maxTokenAge - clockTolerance}`, iat);
  }
}

/** `exp`, `nbf` and `iat`, those that are present. */
export function checkTimes(claims: Claims, rules: TimeRules, now: number): void {
  checkExpiry(claims, rules, now);
  checkNotBefore(claims, rules, now);
  checkIssuedAt(claims, rules, now);
}

/** The time until which the times are valid: `exp`, or `maxTokenAge` after `iat`, each with the tolerance. Seconds since the epoch. */
export function validUntil(claims: Claims, { clockTolerance, maxTokenAge }: TimeRules): number {
  const exp = numericDate(claims, 'exp') ?? Number.POSITIVE_INFINITY;
  const iat = numericDate(claims, 'iat') ?? Number.POSITIVE_INFINITY;
  return Math.min(exp, iat + (maxTokenAge ?? Number.POSITIVE_INFINITY)) + clockTolerance;
}

/** Claims that must be present, whatever their value. */
export function checkRequired(claims: Claims, names: readonly string[]): void {
  for (const name of names) {
    if (claim(claims, name) === undefined) rejectToken('claim_missing', name, 'any value', undefined);
  }
}

/** Claims that must be strings if they are present: a number in `sub` must not make a person look like a machine. */
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
