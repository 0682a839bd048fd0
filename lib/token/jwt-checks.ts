import type { Audience } from './audience.js';
import type { ClaimMapping } from './access-token.js';
import { checkIsAccessToken } from './access-token-only.js';
import type { Check } from './checks.js';
import { claim, type Claims } from './claims.js';
import { checkDpopBinding, readConfirmation, requireBinding } from './confirmation.js';
import type { JwtHeader } from './parse-jwt.js';
import { type Profile, rulesOf } from './profile.js';
import { rejectToken } from './reject-token.js';
import {
  checkAudience,
  checkExpiry,
  checkIssuedAt,
  checkIssuer,
  checkNotBefore,
  checkRequired,
  checkStrings,
  expiryNote,
  type TimeRules,
} from './claim-checks.js';

/** The rules for a JWT. */
export interface JwtRules extends ClaimMapping, TimeRules {
  readonly allowIdTokens: boolean;
  readonly clientIdClaims: readonly string[] | undefined;
  readonly issuer: string;
  readonly audience: readonly Audience[] | false;
  readonly algorithms: ReadonlySet<string>;
  readonly profile: Profile | undefined;
  /** Those of the profile and of the other rules included. */
  readonly requiredClaims: readonly string[];
}

const STRICT_TYPE = 'application/at+jwt';
const ANY_TYPE: readonly unknown[] = [STRICT_TYPE, 'application/jwt', undefined];

/** A parsed JWT, what it must be, and the time. */
export interface JwtCheckInput {
  readonly header: JwtHeader;
  readonly claims: Claims;
  readonly rules: JwtRules;
  /** Seconds since the epoch. */
  readonly now: number;
}

/**
 * All checks before the signature, cheap ones first (RFC 8725 §3.1 and §3.11, RFC 9068 §4). The content is checked before
 * any key is fetched, and trusted only after the signature.
 */
export const JWT_CHECKS: readonly Check<JwtCheckInput>[] = [
  {
    name: 'algorithm',
    run: ({ header, rules }) => {
      if (!rules.algorithms.has(header.alg)) rejectToken('algorithm_refused', 'alg', [...rules.algorithms], header.alg);
    },
    describe: ({ header, rules }) => ({ expected: [...rules.algorithms], found: header.alg }),
  },
  {
    name: 'type',
    run: ({ header, rules }) => {
      const accepted = rulesOf(rules.profile).requiresAtJwt ? [STRICT_TYPE] : ANY_TYPE;
      if (!accepted.includes(mediaType(header.typ))) rejectToken('type_refused', 'typ', accepted, header.typ);
    },
    describe: ({ header }) => ({ found: header.typ }),
  },
  {
    name: 'critical extensions',
    run: ({ header }) => {
      checkCritical(header);
    },
  },
  {
    name: 'issuer',
    run: ({ claims, rules }) => {
      checkIssuer(claims, rules.issuer);
    },
    describe: ({ claims, rules }) => ({ expected: rules.issuer, found: claim(claims, 'iss') }),
  },
  {
    name: 'kind of token',
    run: ({ claims, rules }) => {
      checkIsAccessToken(claims, rules);
    },
  },
  {
    name: 'audience',
    run: ({ claims, rules }) => {
      checkAudience(claims, rules.audience);
    },
    describe: ({ claims, rules }) => ({ expected: rules.audience, found: claim(claims, 'aud') }),
  },
  {
    name: 'expiry',
    run: ({ claims, rules, now }) => {
      checkExpiry(claims, rules, now);
    },
    describe: ({ claims, now }) => {
      const exp = claim(claims, 'exp');
      return { expected: `later than ${now}`, found: exp, note: expiryNote(exp) };
    },
  },
  {
    name: 'not before',
    run: ({ claims, rules, now }) => {
      checkNotBefore(claims, rules, now);
    },
    describe: ({ claims }) => ({ found: claim(claims, 'nbf') }),
  },
  {
    name: 'issued at',
    run: ({ claims, rules, now }) => {
      checkIssuedAt(claims, rules, now);
    },
    describe: ({ claims }) => ({ found: claim(claims, 'iat') }),
  },
  {
    name: 'required claims',
    run: ({ claims, rules }) => {
      checkRequired(claims, rules.requiredClaims);
    },
    describe: ({ rules }) => ({ expected: rules.requiredClaims }),
  },
  {
    name: 'types of claims',
    run: ({ claims }) => {
      checkStrings(claims);
    },
  },
  {
    name: 'binding to a key',
    run: ({ claims, rules }) => {
      checkDpopBinding(claims);
      if (rulesOf(rules.profile).requiresBinding) requireBinding(readConfirmation(claims));
    },
    describe: ({ claims }) => ({ found: claim(claims, 'cnf') }),
  },
];

// RFC 7515 §4.1.9: a media type, in any letter case. "application/" may be left out.
function mediaType(typ: string | undefined): string | undefined {
  const type = typ?.toLowerCase();
  return type === undefined || type.includes('/') ? type : `application/${type}`;
}

/**
 * RFC 7515 §4.1.11, as in jose: the only known extension is `b64` (RFC 7797), and a JWT must not set it to false (RFC 7797
 * §7).
 */
function checkCritical(header: JwtHeader): void {
  if (header.crit === undefined) return;
  const critical: unknown[] = Array.isArray(header.crit) ? header.crit : [];
  const isKnown = critical.length > 0 && critical.every((name) => name === 'b64');
  if (!isKnown || header.b64 !== true) rejectToken('critical_refused', 'crit', ['b64'], header.crit);
}
