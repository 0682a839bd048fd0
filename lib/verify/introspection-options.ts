import { systemClock } from '../util/clock.js';
import {
  type ClientAuthentication,
  clientAuthenticationRule,
  type ClientSecret,
  clientSecretRule,
} from '../issuer/client-authentication-options.js';
import { ConfigurationError } from '../errors.js';
import type { KeyOptions } from '../issuer/key-set.js';
import { isSecureUrl } from '../util/url.js';
import { warn } from '../util/warnings.js';
import { count, describe, flag, group, invalidOption, oneOf, readOptions, type Rules, seconds } from '../options.js';
import { clientIdText } from '../token/client-id.js';
import { type Store, storeRule } from '../store/store.js';
import { ASYMMETRIC } from '../token/algorithms.js';
import { algorithmsOf, checkProfileOptions, type Profile } from '../token/profile.js';
import type { Audience } from '../token/audience.js';
import type { ClaimMapping } from '../token/access-token.js';
import { type IntrospectionCacheOptions, introspectionCacheRule, readCache } from './introspection-cache-options.js';
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

/** The options of `introspectionVerifier`. */
export interface IntrospectionVerifierOptions extends SharedVerifierOptions {
  /**
   * The issuer of the tokens. The endpoint is discovered unless `introspectionEndpoint` is set; an `iss` in the
   * response must be exactly equal.
   */
  issuer?: string | undefined;
  /** The URL of the introspection endpoint (RFC 7662 §2), instead of discovery. */
  introspectionEndpoint?: string | undefined;
  /** The API's own id at the authorization server. Required unless it authenticates with `{ bearerToken }`. */
  clientId?: string | undefined;
  /**
   * The API's own secret. A function is called again when the server rejects the credentials, so that a secret can be
   * rotated without a restart; for this reason it is called at most every 5 seconds.
   */
  clientSecret?: ClientSecret | undefined;
  /**
   * How the API authenticates: with `'client_secret_basic'` or `'client_secret_post'` (RFC 6749 §2.3.1),
   * `'tls_client_auth'` (RFC 8705 §2, `fetch` provides the certificate), `{ privateKey, algorithm }` (`private_key_jwt`, RFC
   * 7523 §2.2) or `{ bearerToken }` (RFC 7662 §2.1). @default 'client_secret_basic'
   */
  clientAuthentication?: ClientAuthentication | undefined;
  /** This API's own identifiers: `aud` of the response must contain at least one. `false` accepts any, and none. */
  audience: Audience | readonly Audience[] | false;
  /**
   * Accept tokens with all printable ASCII characters (VSCHAR, RFC 6749 §A.12), not only those of RFC 6750 §2.1: the tokens
   * of Salesforce contain `!`. @default false
   */
  allowAnyTokenCharacters?: boolean | undefined;
  /** Request signed responses (RFC 9701) and accept no others; needs `issuer`. Their `aud`: `clientId` or one of `audience`. @default false */
  signedResponse?: boolean | undefined;
  /** The URL of the keys of signed responses, instead of discovery. */
  jwksUri?: string | undefined;
  /**
   * `'fapi2'`: tokens must be bound to a key (`cnf`); signed responses, and assertions of this API, use the algorithms of
   * the FAPI 2.0 Security Profile §5.4.1. @default none
   */
  profile?: 'fapi2' | undefined;
  /** Timeout of one request, body included. Seconds, 0.1 to 60. @default 5 */
  timeout?: number | undefined;
  /** Maximum size of one introspection response, after decompression. Bytes, 1,024 to 16,777,216. @default 65536 */
  maxBytes?: number | undefined;
  /**
   * How long a valid result is still used after `cache.maxAge`, while the server is unavailable; never after
   * `exp`. Seconds, 0 (never) to 86,400. @default 0
   */
  maxStale?: number | undefined;
  /** `{ prefetch: false }`: metadata and keys are not fetched before the first token. @default { prefetch: true } */
  keys?: Pick<KeyOptions, 'prefetch'> | undefined;
  /** A store that shares results between processes. @default none: each process has its own cache */
  store?: Store | undefined;
  /** How results are cached; `false` introspects the token of every request. */
  cache?: IntrospectionCacheOptions | false | undefined;
}

export const introspectionVerifierRules: Rules<IntrospectionVerifierOptions> = {
  ...sharedRules,
  issuer: issuerRule,
  introspectionEndpoint: urlRule('Leave it out to discover it through the metadata of the issuer.'),
  clientId: clientIdText('the id of this API at the authorization server', 'Register the API there as a client.'),
  clientSecret: clientSecretRule,
  clientAuthentication: clientAuthenticationRule,
  audience: audienceRule,
  allowAnyTokenCharacters: flag('Set it to true if the server issues tokens with characters such as "!".'),
  signedResponse: flag('Set it to true if the authorization server signs its responses for this API.'),
  jwksUri: urlRule('Leave it out to discover it through the metadata of the issuer.'),
  profile: oneOf(['fapi2'], 'Leave it out to accept bearer tokens too.'),
  timeout: seconds(0.1, 60, 'Leave it out for 5.'),
  maxBytes: count('bytes', 1_024, 16_777_216, 'Leave it out for 65536.'),
  maxStale: seconds(0, 86_400, 'Leave it out for 0.'),
  keys: group<Pick<KeyOptions, 'prefetch'>>({
    prefetch: flag('Set it to false to fetch nothing before the first token.'),
  }),
  store: storeRule,
  cache: introspectionCacheRule,
};

/** The options, checked and complete. */
export interface IntrospectionSettings extends ClaimMapping {
  readonly issuer: string | undefined;
  /** Replaces the issuer if neither the options nor the response contain it. */
  readonly server: string;
  readonly allowsAnyTokenCharacters: boolean;
  readonly profile: Profile | undefined;
  readonly audience: readonly Audience[] | false;
  /** Where the authorization server is, and how this API authenticates there. */
  readonly connection: Partial<IntrospectionVerifierOptions>;
  readonly timeout: number;
  /** Deadline of a prefetch; `undefined` if there is none. Seconds. */
  readonly prefetchTimeout: number | undefined;
  /** Seconds. */
  readonly clockTolerance: number;
  readonly maxTokenBytes: number;
  readonly requiredClaims: readonly string[];
  readonly allowIdTokens: boolean;
  readonly clientIdClaims: readonly string[] | undefined;
  readonly maxStale: number;
  readonly store: Store | undefined;
  readonly cache: ReturnType<typeof readCache> | false;
  readonly clock: () => number;
}

export function readIntrospectionOptions(given: IntrospectionVerifierOptions, where: string): IntrospectionSettings {
  const options = readOptions<Partial<IntrospectionVerifierOptions>>(where, given, introspectionVerifierRules);
  const { issuer, audience, introspectionEndpoint, timeout = 5, clock = systemClock, cache = {} } = options;
  if (audience === undefined) throw invalidOption(`${where}: audience`, audienceRule, undefined);
  checkAddresses(where, options);
  checkCredentials(where, options);
  checkMemory(where, options);
  checkProfile(where, options);
  warnAboutAudience(where, options);
  return {
    issuer,
    server: introspectionEndpoint ?? '',
    allowsAnyTokenCharacters: options.allowAnyTokenCharacters ?? false,
    profile: options.profile,
    audience: audience === false ? false : [audience].flat(),
    connection: options,
    timeout,
    prefetchTimeout: options.keys?.prefetch === false ? undefined : timeout,
    clockTolerance: options.clockTolerance ?? DEFAULT_CLOCK_TOLERANCE,
    maxTokenBytes: options.maxTokenBytes ?? DEFAULT_MAX_TOKEN_BYTES,
    maxStale: options.maxStale ?? 0,
    store: options.store,
    cache: cache === false ? false : readCache(cache),
    clock,
    requiredClaims: options.requiredClaims ?? [],
    allowIdTokens: options.allowIdTokens ?? false,
    ...readClaimMapping(options),
  };
}

/** Whether something is discovered: the endpoint, or the keys of signed responses. */
export function needsMetadata({
  introspectionEndpoint,
  signedResponse = false,
  jwksUri,
}: Partial<IntrospectionVerifierOptions>): boolean {
  return introspectionEndpoint === undefined || (signedResponse && jwksUri === undefined);
}

/** ID tokens have the client id as their audience, access tokens the identifier of the API. */
function warnAboutAudience(where: string, { audience, clientId }: Partial<IntrospectionVerifierOptions>): void {
  if (clientId === undefined || ![audience].flat().includes(clientId)) return;
  const text = `${where}: audience and clientId are both ${describe(clientId)}. audience is the identifier of this API in`;
  const fix = 'Pass that identifier. If the authorization server writes the client id into aud, ignore this warning.';
  warn(
    'ERS_AUDIENCE_IS_CLIENT_ID',
    `${text} the claim aud of access tokens; ID tokens have the client id there. ${fix}`,
  );
}

// `audience: false` is allowed here: the authorization server knows which API introspects.
function checkProfile(where: string, options: Partial<IntrospectionVerifierOptions>): void {
  const { profile, allowInsecureHttp, clientAuthentication: method } = options;
  checkProfileOptions(where, profile, { allowInsecureHttp });
  if (typeof method !== 'object' || !('privateKey' in method)) return;
  algorithmsOf(`${where}: clientAuthentication: algorithm`, [method.algorithm], ASYMMETRIC, profile);
}

function checkMemory(where: string, { store, cache }: Partial<IntrospectionVerifierOptions>): void {
  if (store === undefined || cache !== false) return;
  throw new ConfigurationError({
    option: `${where}: store`,
    expected: 'none, because cache is false',
    got: 'one',
    fix: 'Remove it, or leave cache out so that results are cached and shared.',
  });
}

function checkAddresses(where: string, options: Partial<IntrospectionVerifierOptions>): void {
  const { issuer, introspectionEndpoint, jwksUri, allowInsecureHttp = false } = options;
  if (issuer === undefined && introspectionEndpoint === undefined) {
    throw invalidOption(`${where}: issuer`, issuerRule, undefined);
  }
  if (issuer !== undefined) {
    const isFetchedFrom = needsMetadata(options) && options.metadataUrl === undefined;
    checkIssuerUrl(where, issuer, isFetchedFrom, allowInsecureHttp);
  }
  checkMetadataUrl(where, options.metadataUrl, allowInsecureHttp);
  if (introspectionEndpoint !== undefined && !isSecureUrl(introspectionEndpoint, allowInsecureHttp)) {
    const fix = 'The token and our credentials go there. Use https:, or allowInsecureHttp: true on a trusted network.';
    throw invalidOption(
      `${where}: introspectionEndpoint`,
      { expected: 'an https: URL (http: on loopback)', fix },
      introspectionEndpoint,
    );
  }
  if (jwksUri !== undefined && options.signedResponse !== true) {
    const expected = 'none, because signedResponse is not true';
    throw invalidOption(`${where}: jwksUri`, { expected, fix: 'Remove it, or set signedResponse: true.' }, jwksUri);
  }
  if (jwksUri !== undefined && !isSecureUrl(jwksUri, allowInsecureHttp)) {
    const expected = 'an https: URL (http: on loopback)';
    throw invalidOption(`${where}: jwksUri`, { expected, fix: SECURE_FIX }, jwksUri);
  }
  if (options.signedResponse === true && issuer === undefined) {
    throw invalidOption(
      `${where}: issuer`,
      { ...issuerRule, fix: 'The responses are verified with its keys.' },
      undefined,
    );
  }
}

function checkCredentials(where: string, options: Partial<IntrospectionVerifierOptions>): void {
  const { clientId, clientSecret, clientAuthentication: method = 'client_secret_basic' } = options;
  const { clientId: idRule, clientSecret: secretRule } = introspectionVerifierRules;
  const needsId = typeof method === 'string' || 'privateKey' in method || options.signedResponse === true;
  if (needsId && clientId === undefined) throw invalidOption(`${where}: clientId`, idRule, undefined);
  const needsSecret = method === 'client_secret_basic' || method === 'client_secret_post';
  if (needsSecret && clientSecret === undefined) throw invalidOption(`${where}: clientSecret`, secretRule, undefined);
  if (!needsSecret && clientSecret !== undefined) {
    throw new ConfigurationError({
      option: `${where}: clientSecret`,
      expected: 'none, because clientAuthentication does not use it',
      got: 'one',
      fix: 'Remove it, or choose another clientAuthentication.',
    });
  }
}
