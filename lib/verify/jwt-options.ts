import { systemClock } from '../util/clock.js';
import { ConfigurationError } from '../errors.js';
import { Jwks } from '../issuer/jwks.js';
import type { KeyOptions } from '../issuer/key-set.js';
import { isSecureUrl } from '../util/url.js';
import {
  count,
  firstMistake,
  flag,
  group,
  invalidOption,
  oneOf,
  readOptions,
  type Rule,
  type Rules,
  seconds,
  secretRule,
} from '../options.js';
import { type Store, storeRule } from '../store/store.js';
import { algorithmsRule, ASYMMETRIC, type AsymmetricAlgorithm } from '../token/algorithms.js';
import { secretDoubt } from '../util/doubt.js';
import { algorithmsOf, checkProfileOptions, type Profile, rulesOf } from '../token/profile.js';
import type { Audience } from '../token/audience.js';
import type { JwkSet } from '../token/jwk-types.js';
import type { JwtRules } from '../token/jwt-checks.js';
import { pemMistake } from '../token/pem.js';
import { isPrivateKey, type PublicKey, toPublicJwks } from '../token/public-key.js';
import { type CacheOptions, cacheRule } from './token-cache.js';
import {
  audienceRule,
  checkIssuerUrl,
  checkMetadataUrl,
  DEFAULT_CLOCK_TOLERANCE,
  DEFAULT_MAX_TOKEN_BYTES,
  issuerRule,
  readClaimMapping,
  SECURE_FIX,
  type SharedVerifierOptions,
  sharedRules,
  urlRule,
} from './shared-options.js';

/** A MAC algorithm of RFC 7518 §3.2; only with `secret`. */
export type SymmetricAlgorithm = 'HS256' | 'HS384' | 'HS512';

/** The options of `jwtVerifier`. */
export interface JwtVerifierOptions extends SharedVerifierOptions {
  /**
   * The issuer whose tokens are accepted: `iss` must be equal, trailing slash included. Unless `jwksUri`, `jwks`,
   * `publicKey` or `secret` is set, the keys are discovered through its metadata (RFC 8414, OpenID Connect Discovery).
   */
  issuer: string;
  /**
   * This API's own identifiers: `aud` must contain at least one. Strings are compared exactly, a `URL` as a URI. `false`
   * accepts tokens meant for any API.
   */
  audience: Audience | readonly Audience[] | false;
  /** The URL of the issuer's JWKS, instead of discovery. */
  jwksUri?: string | undefined;
  /** The issuer's public keys themselves, instead of discovery. */
  jwks?: JwkSet | undefined;
  /**
   * The public key of the issuer, or several, instead of discovery: PEM text (also of a certificate), a `KeyObject` or a JWK.
   * Tokens are tried with every key of their algorithm, whatever their `kid` is. If the issuer changes its key, you must
   * change the option.
   */
  publicKey?: PublicKey | readonly PublicKey[] | undefined;
  /** A secret shared with the issuer, instead of keys: at least as many bytes as the hash, 32 for HS256. */
  secret?: string | Uint8Array | undefined;
  /**
   * The accepted values of `alg`. By default every `AsymmetricAlgorithm`; with `secret` those of HS256, HS384, HS512
   * that the secret is long enough for.
   */
  algorithms?: readonly (AsymmetricAlgorithm | SymmetricAlgorithm)[] | undefined;
  /**
   * `'rfc9068'`: the type `at+jwt` and all claims of RFC 9068 §2.2 are required. `'fapi2'`: that, and `cnf`, and the
   * algorithms of the FAPI 2.0 Security Profile §5.4.1.
   */
  profile?: Profile | undefined;
  /** How long after `iat` a token is accepted, whatever its `exp`; makes `iat` required. Seconds, 1 to 31,536,000. */
  maxTokenAge?: number | undefined;
  /** How the issuer's keys are fetched and cached. */
  keys?: KeyOptions | undefined;
  /**
   * A store for the issuer's last valid documents, which are read at startup, so that a process that starts during an outage
   * works. Public keys only; checked like fetched ones; older than `keys.maxStale` is ignored. Anyone who can write to this
   * store decides which keys are trusted. @default none
   */
  keySnapshot?: Store | undefined;
  /** How verified tokens are cached; `false` verifies the token of every request. */
  cache?: CacheOptions | false | undefined;
}

/** RFC 7518 §3.2: a key of the same size as the hash output or larger. */
const SECRET_BYTES: Readonly<Record<SymmetricAlgorithm, number>> = { HS256: 32, HS384: 48, HS512: 64 };
const SYMMETRIC = Object.keys(SECRET_BYTES) as SymmetricAlgorithm[];

/** Deadline of one request to the issuer. Seconds. */
export const DEFAULT_TIMEOUT = 5;

const keyRules: Rules<KeyOptions> = {
  refreshInterval: seconds(1, 86_400, 'Leave it out to follow the Cache-Control of the issuer.'),
  cooldown: seconds(1, 3_600, 'Leave it out for 30.'),
  maxStale: seconds(0, 604_800, 'Leave it out for 86400, a day; 0 turns it off.'),
  timeout: seconds(0.1, 60, 'Leave it out for 5.'),
  maxBytes: count('bytes', 1_024, 16_777_216, 'Leave it out for 1048576.'),
  prefetch: flag('Set it to false to fetch nothing before the first token.'),
};

const jwksRule: Rule<JwkSet> = {
  expected: 'a JWKS, { keys: [...] }, of at least one public key that is safe to use',
  fix: 'Pass the response of the jwks_uri of the issuer. Private and symmetric keys and short RSA keys are not used.',
  hint: (value) =>
    typeof value === 'string' ? 'Pass the parsed object: JSON.parse(text). For an address, use jwksUri.' : undefined,
  // It may contain private keys by mistake.
  secret: true,
  parse: (value) => ((Jwks.of(value)?.keys.length ?? 0) > 0 ? (value as JwkSet) : undefined),
};

const publicKeyRule: Rule<readonly PublicKey[]> = {
  expected: 'a public key as PEM text, a KeyObject or a JWK, or an array of them',
  fix: 'Pass the public key that the issuer signs with: RSA of at least 2048 bits, P-256, P-384, P-521 or Ed25519.',
  hint: (value) =>
    [value].flat().some(isPrivateKey)
      ? 'Pass the public key. Only the issuer may have its private key.'
      : firstMistake(value, pemMistake),
  // Text may be a private key by mistake.
  secret: true,
  parse: (value) => {
    const jwks = toPublicJwks(value);
    return jwks !== undefined && Jwks.of({ keys: jwks })?.keys.length === jwks.length ? jwks : undefined;
  },
};

/** Everybody knows a public key, so everybody could sign with it as a secret. */
const PUBLIC_PEM = /-----BEGIN (?:CERTIFICATE|(?:\w+ )?PUBLIC KEY)-----/;

const sharedSecretRule: Rule<string | Uint8Array> = {
  ...secretRule,
  hint: (value) =>
    isPublicPem(value) ? 'This is a public key, which everybody knows. Pass it as publicKey.' : undefined,
  doubt: secretDoubt,
  parse: (value, path) => (isPublicPem(value) ? undefined : secretRule.parse(value, path)),
};

function isPublicPem(value: unknown): boolean {
  return PUBLIC_PEM.test(value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value));
}

export const jwtVerifierRules: Rules<JwtVerifierOptions> = {
  ...sharedRules,
  issuer: issuerRule,
  audience: audienceRule,
  jwksUri: urlRule('Leave it out to discover it through the metadata of the issuer.'),
  jwks: jwksRule,
  publicKey: publicKeyRule,
  secret: sharedSecretRule,
  algorithms: algorithmsRule(
    [...ASYMMETRIC, ...SYMMETRIC],
    'Name the algorithms that the issuer signs with, or leave it out.',
  ),
  profile: oneOf(['rfc9068', 'fapi2'], 'Leave it out to accept access tokens in any JWT form.'),
  maxTokenAge: seconds(1, 31_536_000, 'Leave it out to check only exp.'),
  keys: group(keyRules),
  keySnapshot: storeRule,
  cache: cacheRule,
};

/** The options, checked and complete. */
export interface JwtSettings {
  readonly rules: JwtRules;
  /** Where the keys come from. */
  readonly keyOrigin: JwtVerifierOptions;
  /** Deadline of a prefetch; `undefined` if there is none. Seconds. */
  readonly prefetchTimeout: number | undefined;
  readonly maxTokenBytes: number;
  readonly clock: () => number;
  readonly cache: CacheOptions | false;
}

export function readJwtVerifierOptions(given: JwtVerifierOptions, where: string): JwtSettings {
  const options = readOptions<Partial<JwtVerifierOptions>>(where, given, jwtVerifierRules);
  const { issuer, audience } = options;
  if (issuer === undefined) throw invalidOption(`${where}: issuer`, jwtVerifierRules.issuer, undefined);
  if (audience === undefined) throw invalidOption(`${where}: audience`, audienceRule, undefined);
  const complete = { ...options, issuer, audience };
  checkKeyOrigin(where, complete);
  checkProfileOptions(where, options.profile, complete);
  const clock = options.clock ?? systemClock;
  const rules: JwtRules = {
    issuer,
    audience: audience === false ? false : [audience].flat(),
    algorithms: readAlgorithms(where, complete),
    profile: options.profile,
    clockTolerance: options.clockTolerance ?? DEFAULT_CLOCK_TOLERANCE,
    maxTokenAge: options.maxTokenAge,
    requiredClaims: requiredClaims(options),
    allowIdTokens: options.allowIdTokens ?? false,
    ...readClaimMapping(options),
  };
  const { maxTokenBytes = DEFAULT_MAX_TOKEN_BYTES, cache = {} } = options;
  const { prefetch = true, timeout = DEFAULT_TIMEOUT } = options.keys ?? {};
  const prefetchTimeout = prefetch ? timeout : undefined;
  return { rules, keyOrigin: complete, prefetchTimeout, maxTokenBytes, clock, cache };
}

function requiredClaims({ maxTokenAge, profile, requiredClaims: names = [] }: Partial<JwtVerifierOptions>): string[] {
  const forAge = maxTokenAge === undefined ? [] : ['iat'];
  return [...new Set(['exp', ...forAge, ...rulesOf(profile).requiredClaims, ...names])];
}

function checkKeyOrigin(where: string, options: JwtVerifierOptions): void {
  const { issuer, jwksUri, allowInsecureHttp = false } = options;
  const origins = (['metadataUrl', 'jwksUri', 'jwks', 'publicKey', 'secret'] as const).filter(
    (name) => options[name] !== undefined,
  );
  if (origins.length > 1) {
    throw new ConfigurationError({
      option: `${where}: ${origins.join(', ')}`,
      expected: 'at most one of metadataUrl, jwksUri, jwks, publicKey and secret',
      got: `${origins.length} of them`,
      fix: 'Keep one, or none to find the keys by the metadata of the issuer.',
    });
  }
  checkIssuerUrl(where, issuer, origins.length === 0, allowInsecureHttp);
  checkMetadataUrl(where, options.metadataUrl, allowInsecureHttp);
  if (jwksUri !== undefined && !isSecureUrl(jwksUri, allowInsecureHttp)) {
    throw invalidOption(
      `${where}: jwksUri`,
      { expected: 'an https: URL (http: on loopback)', fix: SECURE_FIX },
      jwksUri,
    );
  }
}

function readAlgorithms(where: string, options: JwtVerifierOptions): ReadonlySet<string> {
  const { secret } = options;
  const bytes = secret === undefined ? 0 : Buffer.byteLength(secret);
  const possible = secret === undefined ? ASYMMETRIC : SYMMETRIC.filter((alg) => SECRET_BYTES[alg] <= bytes);
  const chosen: readonly string[] = algorithmsOf<string>(
    `${where}: algorithms`,
    options.algorithms,
    possible,
    options.profile,
  );
  if (chosen.every((alg) => possible.some((each) => each === alg))) return new Set(chosen);
  throw new ConfigurationError({
    option: `${where}: algorithms`,
    expected: `${possible.join(', ')}, because ${secret === undefined ? 'there is no secret' : `the secret has ${bytes} bytes`}`,
    got: chosen.join(', '),
    fix:
      secret === undefined
        ? 'HS algorithms need the option secret, and only the issuer and the API may have it.'
        : `A secret is for HS256 from 32, HS384 from 48, HS512 from 64 bytes, and for no asymmetric algorithm.`,
  });
}
