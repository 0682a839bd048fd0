import type { ClaimMapping } from './access-token.js';
import { checkIsAccessToken } from './access-token-only.js';
import type { Claims } from './claims.js';
import { checkDpopBinding, readConfirmation, requireBinding } from './confirmation.js';
import type { JwtHeader } from './parse-jwt.js';
import { type Profile, rulesOf } from './profile.js';
import { rejectToken } from './reject-token.js';
import { checkAudience, checkIssuer, checkRequired, checkStrings, checkTimes, type TimeRules } from './claim-checks.js';

/** What a JWT must be to be accepted here. */
export interface JwtRules extends ClaimMapping, TimeRules {
  readonly allowIdTokens: boolean;
  readonly clientIdClaims: readonly string[] | undefined;
  readonly issuer: string;
  readonly audience: readonly string[] | false;
  readonly algorithms: ReadonlySet<string>;
  readonly profile: Profile | undefined;
  readonly requiredClaims: readonly string[];
}

const STRICT_TYPE = 'application/at+jwt';
const ANY_TYPE: readonly unknown[] = [STRICT_TYPE, 'application/jwt', undefined];

/** The header, before any key is looked for (RFC 8725 §3.1 and §3.11, RFC 9068 §4). */
export function checkHeader(header: JwtHeader, rules: JwtRules): void {
  if (!rules.algorithms.has(header.alg)) rejectToken('algorithm_refused', 'alg', [...rules.algorithms], header.alg);
  const type = mediaType(header.typ);
  const accepted = rulesOf(rules.profile).requiresAtJwt ? [STRICT_TYPE] : ANY_TYPE;
  if (!accepted.includes(type)) rejectToken('type_refused', 'typ', accepted, header.typ);
  checkCritical(header);
}

/** The claims, cheap ones first. They are looked at before the signature and believed only after it. */
export function checkClaims(claims: Claims, rules: JwtRules, now: number): void {
  checkIssuer(claims, rules.issuer);
  checkIsAccessToken(claims, rules);
  checkAudience(claims, rules.audience);
  checkTimes(claims, rules, now);
  checkRequired(claims, ['exp', ...(rules.maxTokenAge === undefined ? [] : ['iat'])]);
  const { requiredClaims, requiresBinding } = rulesOf(rules.profile);
  checkRequired(claims, requiredClaims);
  checkRequired(claims, rules.requiredClaims);
  checkStrings(claims);
  checkDpopBinding(claims);
  if (requiresBinding) requireBinding(readConfirmation(claims));
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
  if (!isKnown || header.b64 !== true) rejectToken('critical_refused', 'crit', ['b64'], header.crit);
}
