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
  const verifier: JwtVerifier = {
    issuer: rules.issuer,
    takesOpaqueTokens: false,
    verify: async (token) => (await judge(token, settings)).accessToken,
    recall: () => undefined,
    forget: () => undefined,
    ready: () => keys.ready(),
    health: () => keys.health(),
    close: () => {
      keys.close();
    },
  };
  if (cache === false) return verifier;
  const { verify, recall, forget, clear } = remember<JwtVerdict>((token) => judge(token, settings), {
    ...cache,
    clock,
    holds: (verdict) => clock() < verdict.until && verdict.keys === keys.current(),
  });
  const close = (): void => {
    clear();
    keys.close();
  };
  return { ...verifier, verify, recall, forget, close };
}

/** A verdict and what it rests on, so that it stands exactly as long as verifying again would come to the same. */
interface JwtVerdict {
  readonly accessToken: AccessToken;
  readonly keys: Keys;
  /** Seconds since the epoch. */
  readonly until: number;
}

async function judge(token: string, settings: JwtSettings): Promise<JwtVerdict> {
  const { rules } = settings;
  const jwt = parseAndCheck(token, settings);
  const keys = await findSigner(jwt, settings.keys);
  const { header, claims } = jwt;
  const accessToken = makeAccessToken({ format: 'jwt', issuer: rules.issuer, claims, header }, rules);
  return { accessToken, keys, until: validUntil(claims, rules) };
}

function parseAndCheck(token: string, { rules, maxTokenBytes, clock }: JwtSettings): ParsedJwt {
  if (typeof token !== 'string') throw new InvalidTokenError('malformed');
  const jwt = parseJwt(token, maxTokenBytes);
  checkHeader(jwt.header, rules);
  checkClaims(jwt.claims, rules, clock());
  return jwt;
}
