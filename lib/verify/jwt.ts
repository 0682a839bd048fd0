import { InvalidTokenError } from '../errors.js';
import { type AccessToken, makeAccessToken } from '../token/access-token.js';
import { type ParsedJwt, parseJwt } from '../token/jwt.js';
import { checkClaims, checkHeader } from './jwt-checks.js';
import { type JwtSettings, type JwtVerifierOptions, readJwtVerifierOptions } from './jwt-options.js';
import { isSignedWith } from './signature.js';
import type { TokenVerifier } from './token-verifier.js';

/**
 * Verifies JWT access tokens of one issuer (RFC 7519, 8725, 9068). Needs no Express: WebSocket, gRPC and job handlers
 * can call it.
 *
 * Checked: size, form, `alg`, `typ`, `crit`, `iss`, `aud`, `exp`, `nbf`, `iat`, required claims, signature. *Not*
 * checked: scopes, clients and other claims (gates do that), whether the token was revoked (introspection does that), and
 * whether the caller holds the key in `cnf` (`bearer` does that: a verifier used alone must look at `cnf` itself).
 *
 * @throws ConfigurationError for an option that is missing, unknown or wrong.
 */
export function jwtVerifier(options: JwtVerifierOptions): TokenVerifier & { readonly issuer: string } {
  const settings = readJwtVerifierOptions(options);
  const { rules, keys } = settings;
  return {
    issuer: rules.issuer,
    verify: (token) => verifyJwt(token, settings),
    ready: () => keys.ready(),
    health: () => keys.health(),
    close: () => {
      keys.close();
    },
  };
}

async function verifyJwt(token: string, settings: JwtSettings): Promise<AccessToken> {
  const { rules } = settings;
  if (typeof token !== 'string') throw new InvalidTokenError('malformed');
  const jwt = parseJwt(token, settings.maxTokenBytes);
  checkHeader(jwt.header, rules);
  checkClaims(jwt.claims, rules, settings.clock());
  await checkSignature(jwt, settings);
  const { header, claims } = jwt;
  return makeAccessToken({ format: 'jwt', issuer: rules.issuer, claims, header }, rules);
}

async function checkSignature(jwt: ParsedJwt, { keys }: JwtSettings): Promise<void> {
  const { alg, kid } = jwt.header;
  const found = await keys.find(alg, kid);
  if (await isSignedWith(found, jwt)) return;
  // A key that was named and found has had its say. One that was not found, or not named, may be newer than our keys.
  if (found.length > 0 && kid !== undefined) throw new InvalidTokenError('signature_mismatch');
  if (await isSignedWith(await keys.findAgain(alg, kid, found), jwt)) return;
  throw new InvalidTokenError(found.length > 0 ? 'signature_mismatch' : 'unknown_key');
}
