import { InvalidTokenError } from '../errors.js';
import { type AccessToken, makeAccessToken } from '../token/access-token.js';
import { type ParsedJwt, parseJwt } from '../token/jwt.js';
import type { Keys, KeysHealth } from '../issuer/keys.js';
import { validUntil } from './claim-checks.js';
import { checkClaims, checkHeader } from './jwt-checks.js';
import { type JwtSettings, type JwtVerifierOptions, readJwtVerifierOptions } from './jwt-options.js';
import { remember } from './remember.js';
import { findSigner } from './signer.js';
import type { TokenVerifier } from './token-verifier.js';

/** What `jwtVerifier` makes. */
export interface JwtVerifier extends Required<TokenVerifier> {
  readonly issuer: string;
  health(): KeysHealth;
}

/**
 * Verifies JWT access tokens of one issuer (RFC 7519, 8725, 9068), each token once as long as that holds. Needs no
 * Express: WebSocket, gRPC and job handlers can call it.
 *
 * Checked: size, form, `alg`, `typ`, `crit`, `iss`, `aud`, `exp`, `nbf`, `iat`, required claims, signature. *Not*
 * checked: scopes, clients and other claims (gates do that), whether the token was revoked (introspection does that), and
 * whether the caller holds the key in `cnf` (`bearer` does that: a verifier used alone must look at `cnf` itself).
 *
 * @throws ConfigurationError for an option that is missing, unknown or wrong.
 */
export function jwtVerifier(options: JwtVerifierOptions): JwtVerifier {
  const settings = readJwtVerifierOptions(options);
  const { rules, keys, clock, cache } = settings;
  // What each verdict rests on, so that it stands exactly as long as verifying again would come to the same.
  const bases = new WeakMap<AccessToken, { keys: Keys; until: number }>();
  const verifier: JwtVerifier = {
    issuer: rules.issuer,
    takesOpaqueTokens: false,
    verify: async (token) => {
      const jwt = parseAndCheck(token, settings);
      const signedWith = await findSigner(jwt, keys);
      const { header, claims } = jwt;
      const accessToken = makeAccessToken({ format: 'jwt', issuer: rules.issuer, claims, header }, rules);
      bases.set(accessToken, { keys: signedWith, until: validUntil(claims, rules) });
      return accessToken;
    },
    recall: () => undefined,
    forget: () => undefined,
    ready: () => keys.ready(),
    health: () => keys.health(),
    close: () => {
      keys.close();
    },
  };
  if (cache === false) return verifier;
  const holds = (accessToken: AccessToken): boolean => {
    const basis = bases.get(accessToken);
    return basis !== undefined && clock() < basis.until && basis.keys === keys.current();
  };
  return { ...verifier, ...remember(verifier, { ...cache, clock, holds }) };
}

function parseAndCheck(token: string, { rules, maxTokenBytes, clock }: JwtSettings): ParsedJwt {
  if (typeof token !== 'string') throw new InvalidTokenError('malformed');
  const jwt = parseJwt(token, maxTokenBytes);
  checkHeader(jwt.header, rules);
  checkClaims(jwt.claims, rules, clock());
  return jwt;
}
