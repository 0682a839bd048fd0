import { InvalidTokenError } from '../errors.js';
import { type AccessToken, makeAccessToken } from '../token/access-token.js';
import { claim } from '../token/claims.js';
import { readConfirmation, requireBinding } from '../token/confirmation.js';
import { checkAudience, checkIssuer, checkStrings, checkTimes } from './claim-checks.js';
import type { TokenInfo, TokenInfoSource } from './introspector.js';
import {
  type IntrospectionSettings,
  type IntrospectionVerifierOptions,
  readIntrospectionOptions,
} from './introspection-options.js';
import { remember } from './remember.js';
import { SharedTokenInfo } from './shared-token-info.js';
import type { TokenVerifier } from './token-verifier.js';

/** What `introspectionVerifier` makes. */
export interface IntrospectionVerifier extends Required<TokenVerifier> {
  /**
   * Drops the verdict on one token, in the store as well; where others share it, they follow within 5 seconds, unless
   * the server cannot be asked then and `maxStale` lets their own memory stand. Rejects where the store cannot be told.
   */
  forget(token: string): Promise<void>;
}

/** Longer tokens are refused unasked. */
const MAX_TOKEN_BYTES = 16_384;
/** The server has judged the times by its own clock; ours may differ by that. Seconds. */
const TIMES = { clockTolerance: 5, maxTokenAge: undefined };
/** How long a process goes by its own memory where verdicts are shared, so that a `forget` elsewhere is heard. Seconds. */
const FRONT_MAX_AGE = 5;

/**
 * Verifies tokens by asking the authorization server (RFC 7662), for opaque tokens and for JWTs that must be revocable
 * at once. Verdicts are remembered for `cache.maxAge`: that is how long a revoked token may still be accepted.
 *
 * Checked here, whatever the server says: `active`, `iss` where there is one, `aud`, `exp`, `nbf`, `iat`. *Not* checked:
 * scopes and other claims (gates do that), and whether the caller holds the key in `cnf` (`bearer` does that).
 *
 * @throws ConfigurationError for an option that is missing, unknown or wrong.
 */
export function introspectionVerifier(options: IntrospectionVerifierOptions): IntrospectionVerifier {
  const settings = readIntrospectionOptions(options);
  const { introspector, remote, cache, clock, maxStale, store } = settings;
  const shared = makeShared(settings);
  const source: TokenInfoSource = shared ?? introspector;
  const judgeToken = async (token: string): Promise<HeardVerdict> => {
    if (typeof token !== 'string' || token === '') throw new InvalidTokenError('malformed');
    if (token.length > MAX_TOKEN_BYTES) throw new InvalidTokenError('too_large');
    const info = await source.ask(token);
    return { accessToken: judge(info, settings), askedAt: info.askedAt, heardAt: clock() };
  };
  const verifier: IntrospectionVerifier = {
    issuer: settings.issuer,
    takesOpaqueTokens: true,
    verify: async (token) => (await judgeToken(token)).accessToken,
    recall: () => undefined,
    forget: async (token) => shared?.forget(token),
    ready: () => introspector.ready(),
    health: () => {
      const { keys, metadata } = remote?.health() ?? {};
      return {
        ...(metadata === undefined ? {} : { metadata }),
        ...(keys === undefined || !settings.isSigned ? {} : { keys }),
      };
    },
    close: () => {
      introspector.close();
      remote?.close();
    },
  };
  if (cache === false) return verifier;
  const frontMaxAge = store === undefined ? cache.maxAge : Math.min(FRONT_MAX_AGE, cache.maxAge);
  const isWithin = (verdict: HeardVerdict, sinceAsked: number, sinceHeard: number): boolean => {
    const { accessToken, askedAt, heardAt } = verdict;
    const now = clock();
    const isOver = now >= (accessToken.expiresAt ?? Number.POSITIVE_INFINITY);
    return !isOver && now < askedAt + sinceAsked && now < heardAt + sinceHeard;
  };
  const remembering = remember<HeardVerdict>(judgeToken, {
    maxEntries: cache.maxEntries,
    maxAge: cache.maxAge + maxStale,
    negativeMaxAge: store === undefined ? cache.negativeMaxAge : Math.min(FRONT_MAX_AGE, cache.negativeMaxAge),
    holds: (verdict) => isWithin(verdict, cache.maxAge, frontMaxAge),
    holdsInOutage: (verdict) => isWithin(verdict, cache.maxAge + maxStale, cache.maxAge + maxStale),
    clock,
  });
  return {
    ...verifier,
    verify: remembering.verify,
    recall: remembering.recall,
    forget: async (token) => {
      remembering.forget(token);
      await verifier.forget(token);
    },
    close: () => {
      remembering.clear();
      return verifier.close();
    },
  };
}

interface HeardVerdict {
  readonly accessToken: AccessToken;
  /** When the server was asked. Seconds since the epoch. */
  readonly askedAt: number;
  /** When this process was told, by the server or the store. Seconds since the epoch. */
  readonly heardAt: number;
}

function makeShared(settings: IntrospectionSettings): SharedTokenInfo | undefined {
  const { introspector, store, cache, scope, timeout, clock } = settings;
  if (store === undefined || cache === false) return undefined;
  const { maxAge, negativeMaxAge } = cache;
  return new SharedTokenInfo(introspector, { store, scope, maxAge, negativeMaxAge, askTimeout: timeout, clock });
}

/** What an introspection response is worth here. */
function judge({ response }: TokenInfo, settings: IntrospectionSettings): AccessToken {
  if (!response.active) throw new InvalidTokenError('inactive');
  const issuer = claim(response, 'iss');
  if (settings.issuer !== undefined && issuer !== undefined) checkIssuer(response, settings.issuer);
  checkAudience(response, settings.audience);
  checkTimes(response, TIMES, settings.clock());
  checkStrings(response);
  if (settings.profile === 'fapi2') requireBinding(readConfirmation(response));
  const named = typeof issuer === 'string' ? issuer : undefined;
  return makeAccessToken(
    { format: 'opaque', issuer: settings.issuer ?? named ?? settings.server, claims: { ...response } },
    settings,
  );
}
