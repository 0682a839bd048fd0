import { type AccessTokenOnlyRules, checkIsAccessToken } from './access-token-only.js';
import type { Audience } from './audience.js';
import type { Check } from './checks.js';
import { checkAudience, checkIssuer, checkRequired, checkStrings, checkTimes, expiryNote } from './claim-checks.js';
import { claim, type Claims } from './claims.js';
import { checkDpopBinding, readConfirmation, requireBinding } from './confirmation.js';
import { type Profile, rulesOf } from './profile.js';
import { rejectToken } from './reject-token.js';

/** What an introspection response must fulfil. */
export interface IntrospectionRules extends AccessTokenOnlyRules {
  /** `undefined` if none is configured. */
  readonly issuer: string | undefined;
  readonly audience: readonly Audience[] | false;
  /** Seconds. */
  readonly clockTolerance: number;
  readonly requiredClaims: readonly string[];
  readonly profile: Profile | undefined;
}

export interface IntrospectionCheckInput {
  readonly response: Claims & { readonly active: boolean };
  readonly rules: IntrospectionRules;
  /** Seconds since the epoch. */
  readonly now: number;
}

/** The checks of an introspection response: the server's word is not enough. */
export const INTROSPECTION_CHECKS: readonly Check<IntrospectionCheckInput>[] = [
  {
    name: 'active',
    run: ({ response }) => {
      if (!response.active) rejectToken('inactive', 'active', true, false);
    },
    describe: ({ response }) => ({ expected: true, found: response.active }),
  },
  {
    name: 'issuer',
    run: ({ response, rules: { issuer } }) => {
      if (issuer !== undefined && claim(response, 'iss') !== undefined) checkIssuer(response, issuer);
    },
    describe: ({ response, rules }) => ({ expected: rules.issuer, found: claim(response, 'iss') }),
  },
  {
    // RFC 7662 §2.1: the hint is only a hint. Some servers respond `active: true` for a refresh token.
    name: 'kind of token',
    run: ({ response, rules }) => {
      checkIsAccessToken(response, rules);
    },
  },
  {
    name: 'audience',
    run: ({ response, rules }) => {
      checkAudience(response, rules.audience);
    },
    describe: ({ response, rules }) => ({ expected: rules.audience, found: claim(response, 'aud') }),
  },
  {
    name: 'times',
    run: ({ response, rules: { clockTolerance }, now }) => {
      checkTimes(response, { clockTolerance, maxTokenAge: undefined }, now);
    },
    describe: ({ response, now }) => {
      const exp = claim(response, 'exp');
      return { expected: `later than ${now}`, found: exp, note: expiryNote(exp) };
    },
  },
  {
    name: 'required claims',
    run: ({ response, rules }) => {
      checkRequired(response, rules.requiredClaims);
    },
    describe: ({ rules }) => ({ expected: rules.requiredClaims }),
  },
  {
    name: 'types of claims',
    run: ({ response }) => {
      checkStrings(response);
    },
  },
  {
    name: 'binding to a key',
    run: ({ response, rules }) => {
      checkDpopBinding(response);
      if (rulesOf(rules.profile).requiresBinding) requireBinding(readConfirmation(response));
    },
    describe: ({ response }) => ({ found: claim(response, 'cnf') }),
  },
];
