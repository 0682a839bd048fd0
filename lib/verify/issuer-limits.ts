import { invalidOption, readOptions, type Rule, type Rules, texts } from '../options.js';
import type { AccessToken } from '../token/access-token.js';
import { InvalidTokenError } from '../errors.js';
import { failedCheck, passedCheck, toExplanation } from '../token/checks.js';
import { rejectToken } from '../token/reject-token.js';
import { isScope } from '../token/scope.js';
import { isPlainObject } from '../util/is-plain-object.js';
import { isPromise } from '../util/is-promise.js';
import { explainWith } from './explain.js';
import type { TokenVerifier } from './token-verifier.js';
import { isVerifier, wrapVerifier } from './wrap-verifier.js';

/** An entry of `trustedIssuers`: a verifier, and what its issuer may grant. */
export interface TrustedIssuer {
  readonly verifier: TokenVerifier;
  /** The scopes that this issuer may grant; others are removed from `auth.scopes`. @default all */
  readonly scopes?: readonly string[] | undefined;
  /** The clients that this issuer may name; a token of another client, or of none, is rejected. @default all */
  readonly clients?: readonly string[] | undefined;
}

const verifierRule: Rule<TokenVerifier> = {
  expected: 'an object with the function verify(token)',
  fix: 'Pass jwtVerifier(...) or introspectionVerifier(...).',
  parse: (value) => (isVerifier(value) ? value : undefined),
};

const rules: Rules<TrustedIssuer> = {
  verifier: verifierRule,
  scopes: texts('an array of scopes', 'Leave it out for all scopes.', isScope),
  clients: texts('an array of client ids', 'Leave it out for all clients.'),
};

export function isLimitedIssuer(value: unknown): value is TrustedIssuer {
  return isPlainObject(value) && 'verifier' in value && !isVerifier(value);
}

/**
 * Wraps the verifier of an entry so that no gate sees a scope or a client that the issuer may not grant.
 *
 * @throws ConfigurationError for an option that is missing, unknown or wrong.
 */
export function limitIssuer(entry: TrustedIssuer): TokenVerifier {
  const where = 'trustedIssuers';
  const { verifier, scopes, clients } = readOptions<Partial<TrustedIssuer>>(where, entry, rules);
  if (verifier === undefined) throw invalidOption(`${where}: verifier`, verifierRule, undefined);
  const allowedScopes = scopes && new Set(scopes);
  const allowedClients = clients && new Set(clients);
  // Cached results are shared, so each is limited once.
  const limited = new WeakMap<AccessToken, AccessToken>();
  const isAllowed = ({ clientId }: AccessToken): boolean =>
    allowedClients === undefined || (clientId !== undefined && allowedClients.has(clientId));
  const limit = (accessToken: AccessToken): AccessToken => {
    if (!isAllowed(accessToken)) rejectToken('rejected', 'client id', clients, accessToken.clientId);
    if (allowedScopes === undefined) return accessToken;
    let result = limited.get(accessToken);
    if (result === undefined) {
      const granted = Object.freeze(accessToken.scopes.filter((scope) => allowedScopes.has(scope)));
      result = Object.freeze({ ...accessToken, scopes: granted });
      limited.set(accessToken, result);
    }
    return result;
  };
  return wrapVerifier(verifier, {
    verify: (token, context) => {
      const result = verifier.verify(token, context);
      return isPromise(result) || !isAllowed(result) ? limitAsync(result, limit) : limit(result);
    },
    explain: async (token) => {
      const explained = await explainWith(verifier, token);
      if (explained.accepted !== true || allowedClients === undefined) return explained;
      const clients = { expected: [...allowedClients] };
      try {
        await limitAsync(verifier.verify(token), limit);
        return toExplanation([...explained.checks, passedCheck('client', clients.expected)]);
      } catch (error) {
        if (!(error instanceof InvalidTokenError)) throw error;
        const context = { claims: undefined, segments: 0, now: 0 };
        return toExplanation([...explained.checks, failedCheck('client', error, context)]);
      }
    },
  });
}

// Every failure of a verifier is a promise.
async function limitAsync(
  result: AccessToken | PromiseLike<AccessToken>,
  limit: (accessToken: AccessToken) => AccessToken,
): Promise<AccessToken> {
  return limit(await result);
}
