import { InvalidTokenError } from '../errors.js';
import { type AccessToken, buildAccessToken } from '../token/access-token.js';
import { type ParsedJwt, parseJwt } from '../token/parse-jwt.js';
import type { KeysHealth } from '../issuer/key-set.js';
import { validUntil } from '../token/claim-checks.js';
import { checkClaims, checkHeader } from '../token/jwt-checks.js';
import { type JwtSettings, type JwtVerifierOptions, readJwtVerifierOptions } from './jwt-options.js';
import { createTokenCache } from './token-cache.js';
import { verifySignature } from '../issuer/verify-signature.js';
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
  return createJwtVerifier(options, 'jwtVerifier');
}

/** The same for another function of the package; mistakes in the options name that function. */
export function createJwtVerifier(options: JwtVerifierOptions, where: string): JwtVerifier {
  const settings = readJwtVerifierOptions(options, where);
  const { rules, keys, clock, cache } = settings;
  const verifier: JwtVerifier = {
    issuer: rules.issuer,
    profile: rules.profile,
    clock,
    acceptsOpaqueTokens: false,
    verify: async (token) => (await verifyToken(token, settings)).accessToken,
    invalidate: () => undefined,
    ready: () => keys.ready(),
    health: () => keys.health(),
    close: () => {
      keys.close();
    },
  };
  if (cache === false) return verifier;
  const { verify, invalidate, clear } = createTokenCache<JwtVerificationResult>(
    (token) => verifyToken(token, settings),
    {
      ...cache,
      clock,
      isFresh: (result) => clock() < result.until && result.keysVersion === keys.current()?.version,
    },
  );
  const close = (): void => {
    clear();
    keys.close();
  };
  return { ...verifier, verify, invalidate, close };
}

/** A result and what it rests on, so that it stands exactly as long as verifying again would come to the same. */
interface JwtVerificationResult {
  readonly accessToken: AccessToken;
  readonly keysVersion: number;
  /** Seconds since the epoch. */
  readonly until: number;
}

async function verifyToken(token: string, settings: JwtSettings): Promise<JwtVerificationResult> {
  const { rules } = settings;
  const jwt = parseAndCheck(token, settings);
  const { version: keysVersion } = await verifySignature(jwt, settings.keys);
  const { header, claims } = jwt;
  const accessToken = buildAccessToken({ format: 'jwt', issuer: rules.issuer, claims, header }, rules);
  return { accessToken, keysVersion, until: validUntil(claims, rules) };
}

function parseAndCheck(token: string, { rules, maxTokenBytes, clock }: JwtSettings): ParsedJwt {
  if (typeof token !== 'string') throw new InvalidTokenError('malformed');
  const jwt = parseJwt(token, maxTokenBytes);
  checkHeader(jwt.header, rules);
  checkClaims(jwt.claims, rules, clock());
  return jwt;
}
