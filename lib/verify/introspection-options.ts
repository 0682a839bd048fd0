import { systemClock } from '../util/clock.js';
import { ClientAuthenticator } from '../issuer/client-authentication.js';
import {
  type ClientAuthentication,
  clientAuthenticationRule,
  type ClientSecret,
  clientSecretRule,
} from '../issuer/client-authentication-options.js';
import type { HttpOptions } from '../issuer/http.js';
import { ConfigurationError } from '../errors.js';
import { MetadataSource } from '../issuer/metadata-source.js';
import { RemoteKeySet } from '../issuer/remote-key-set.js';
import { isSecureUrl } from '../util/url.js';
import { count, flag, invalidOption, oneOf, readOptions, type Rules, seconds, text } from '../options.js';
import { type Store, storeRule } from '../store/store.js';
import { ASYMMETRIC } from '../token/algorithms.js';
import { algorithmsOf, type Profile } from '../token/profile.js';
import type { Audience } from '../token/audience.js';
import type { ClaimMapping } from '../token/access-token.js';
import { IntrospectionClient, type SignedResponseRules } from '../issuer/introspection-client.js';
import { type IntrospectionCacheOptions, introspectionCacheRule, readCache } from './introspection-cache-options.js';
import {
  audienceRule,
  checkFapiTransport,
  checkIssuerUrl,
  DEFAULT_CLOCK_TOLERANCE,
  DEFAULT_MAX_TOKEN_BYTES,
  globalFetch,
  issuerRule,
  readClaimMapping,
  type SharedVerifierOptions,
  sharedRules,
} from './shared-options.js';

/** What `introspectionVerifier` takes. */
export interface IntrospectionVerifierOptions extends SharedVerifierOptions {
  /**
   * Whose tokens these are. The endpoint is found by its metadata unless `introspectionEndpoint` is given; an `iss` in the
   * answer must be exactly this.
   */
  issuer?: string | undefined;
  /** Where the authorization server is asked (RFC 7662 §2), instead of discovery. */
  introspectionEndpoint?: string | undefined;
  /** The API's own id at the authorization server. Required unless it authenticates with `{ bearerToken }`. */
  clientId?: string | undefined;
  /**
   * The API's own secret. A function is asked again when the server refuses our credentials, so that a secret can be
   * rotated without a restart; it is asked at most every 5 seconds for that reason.
   */
  clientSecret?: ClientSecret | undefined;
  /**
   * How the API authenticates: with `'client_secret_basic'` or `'client_secret_post'` (RFC 6749 §2.3.1),
   * `'tls_client_auth'` (RFC 8705 §2, the certificate is `fetch`'s), `{ privateKey, algorithm }` (`private_key_jwt`, RFC
   * 7523 §2.2) or `{ bearerToken }` (RFC 7662 §2.1). @default 'client_secret_basic'
   */
  clientAuthentication?: ClientAuthentication | undefined;
  /** This API's own identifiers: `aud` of the answer must hold at least one. `false` accepts any, and none. */
  audience: Audience | readonly Audience[] | false;
  /**
   * Accept tokens with all printable ASCII characters (VSCHAR, RFC 6749 §A.12), not only those of RFC 6750 §2.1: the tokens
   * of Salesforce contain `!`. @default false
   */
  allowAnyTokenCharacters?: boolean | undefined;
  /** Ask for signed responses (RFC 9701) and accept no others; needs `issuer`. Their `aud`: `clientId` or one of `audience`. @default false */
  signedResponse?: boolean | undefined;
  /**
   * `'fapi2'`: tokens must be bound to a key (`cnf`); signed answers, and assertions of this API, are in the algorithms of
   * the FAPI 2.0 Security Profile §5.4.1. @default none
   */
  profile?: 'fapi2' | undefined;
  /** Deadline for one exchange, body included. Seconds, 0.1 to 60. @default 5 */
  timeout?: number | undefined;
  /** Cap on one answer. Bytes, 1,024 to 16,777,216. @default 1048576 */
  maxBytes?: number | undefined;
  /**
   * How long a known-good result still stands, once `cache.maxAge` is over, while the server cannot be asked; never past
   * `exp`. Seconds, 0 (never) to 86,400. @default 0
   */
  maxStale?: number | undefined;
  /** Where results are shared between processes. @default none: each process remembers its own */
  store?: Store | undefined;
  /** How results are remembered; `false` asks at every request. */
  cache?: IntrospectionCacheOptions | false | undefined;
}

export const introspectionVerifierRules: Rules<IntrospectionVerifierOptions> = {
  ...sharedRules,
  issuer: issuerRule,
  introspectionEndpoint: text('an absolute URL', 'Leave it out to find it by the metadata of the issuer.', (value) =>
    URL.canParse(value),
  ),
  clientId: text('the id of this API at the authorization server', 'Register the API there as a client.'),
  clientSecret: clientSecretRule,
  clientAuthentication: clientAuthenticationRule,
  audience: audienceRule,
  allowAnyTokenCharacters: flag('Set it to true if the server issues tokens with characters such as "!".'),
  signedResponse: flag('Set it to true where the authorization server signs its answers for this API.'),
  profile: oneOf(['fapi2'], 'Leave it out to accept bearer tokens too.'),
  timeout: seconds(0.1, 60, 'Leave it out for 5.'),
  maxBytes: count('bytes', 1_024, 16_777_216, 'Leave it out for 1048576.'),
  maxStale: seconds(0, 86_400, 'Leave it out for 0.'),
  store: storeRule,
  cache: introspectionCacheRule,
};

/** The options, checked and complete. */
export interface IntrospectionSettings extends ClaimMapping {
  readonly issuer: string | undefined;
  /** What stands for the issuer where neither options nor answer name it. */
  readonly server: string;
  readonly allowsAnyTokenCharacters: boolean;
  readonly isSigned: boolean;
  readonly profile: Profile | undefined;
  readonly audience: readonly Audience[] | false;
  readonly introspectionClient: IntrospectionClient;
  /** Undefined if nothing is discovered. */
  readonly metadata: MetadataSource | undefined;
  /** The keys of signed responses. */
  readonly keys: RemoteKeySet | undefined;
  /** What the answers depend on beside the token. */
  readonly scope: readonly string[];
  readonly timeout: number;
  /** Seconds. */
  readonly clockTolerance: number;
  readonly maxTokenBytes: number;
  readonly requiredClaims: readonly string[];
  readonly allowIdTokens: boolean;
  readonly clientIdClaims: readonly string[] | undefined;
  readonly maxStale: number;
  readonly store: Store | undefined;
  readonly cache: { readonly maxEntries: number; readonly maxAge: number; readonly negativeMaxAge: number } | false;
  readonly clock: () => number;
}

export function readIntrospectionOptions(given: IntrospectionVerifierOptions, where: string): IntrospectionSettings {
  const options = readOptions<Partial<IntrospectionVerifierOptions>>(where, given, introspectionVerifierRules);
  const { issuer, audience, introspectionEndpoint, clientId, timeout = 5, clock = systemClock, cache = {} } = options;
  if (audience === undefined) throw invalidOption(`${where}: audience`, audienceRule, undefined);
  checkAddresses(where, options);
  checkCredentials(where, options);
  checkMemory(where, options);
  if (options.profile === 'fapi2') checkFapi(where, options);
  const http: HttpOptions = { fetch: options.fetch ?? globalFetch, timeout, maxBytes: options.maxBytes ?? 1_048_576 };
  const metadata = makeMetadata(options, http, clock);
  const keys = makeKeys(options, metadata, http, clock);
  const endpoint = (): Promise<string> => findEndpoint(introspectionEndpoint, metadata);
  const clientAuthenticator = new ClientAuthenticator({
    clientId,
    clientSecret: options.clientSecret,
    clientAuthentication: options.clientAuthentication ?? 'client_secret_basic',
    audience: issuer,
    timeout,
    clock,
  });
  const signed = options.signedResponse === true ? signedRules(options, keys) : undefined;
  return {
    issuer,
    server: introspectionEndpoint ?? '',
    allowsAnyTokenCharacters: options.allowAnyTokenCharacters ?? false,
    isSigned: signed !== undefined,
    profile: options.profile,
    audience: audience === false ? false : [audience].flat(),
    introspectionClient: new IntrospectionClient({ endpoint, clientAuthenticator, http, signed, clock }),
    metadata,
    keys,
    scope: [issuer ?? '', introspectionEndpoint ?? '', clientId ?? '', [...(signed?.algorithms ?? [])].join(' ')],
    timeout,
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

function checkFapi(where: string, options: Partial<IntrospectionVerifierOptions>): void {
  checkFapiTransport(where, options);
  const { clientAuthentication: method } = options;
  if (typeof method !== 'object' || !('algorithm' in method)) return;
  algorithmsOf(`${where}: clientAuthentication: algorithm`, [method.algorithm], ASYMMETRIC, 'fapi2');
}

function checkMemory(where: string, { store, cache }: Partial<IntrospectionVerifierOptions>): void {
  if (store === undefined || cache !== false) return;
  throw new ConfigurationError({
    option: `${where}: store`,
    expected: 'none, because cache is false',
    got: 'one',
    fix: 'Remove it, or leave cache out so that results are remembered and shared.',
  });
}

function checkAddresses(where: string, options: Partial<IntrospectionVerifierOptions>): void {
  const { issuer, introspectionEndpoint, allowInsecureHttp = false } = options;
  if (issuer === undefined && introspectionEndpoint === undefined) {
    throw invalidOption(`${where}: issuer`, issuerRule, undefined);
  }
  const needsDocuments = introspectionEndpoint === undefined || options.signedResponse === true;
  if (issuer !== undefined) checkIssuerUrl(where, issuer, needsDocuments, allowInsecureHttp);
  if (introspectionEndpoint !== undefined && !isSecureUrl(introspectionEndpoint, allowInsecureHttp)) {
    const fix = 'The token and our credentials go there. Use https:, or allowInsecureHttp: true on a trusted network.';
    throw invalidOption(
      `${where}: introspectionEndpoint`,
      { expected: 'an https: URL (http: on loopback)', fix },
      introspectionEndpoint,
    );
  }
  if (options.signedResponse === true && issuer === undefined) {
    throw invalidOption(
      `${where}: issuer`,
      { ...issuerRule, fix: 'The answers are verified with its keys.' },
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

const DOCUMENTS = { refreshInterval: undefined, maxStale: 86_400 };

function makeMetadata(
  options: Partial<IntrospectionVerifierOptions>,
  http: HttpOptions,
  clock: () => number,
): MetadataSource | undefined {
  const { issuer, introspectionEndpoint, signedResponse = false, allowInsecureHttp = false } = options;
  if (issuer === undefined || (introspectionEndpoint !== undefined && !signedResponse)) return undefined;
  return new MetadataSource({ issuer, allowInsecureHttp, http, clock, refreshAhead: !signedResponse, ...DOCUMENTS });
}

function makeKeys(
  options: Partial<IntrospectionVerifierOptions>,
  metadata: MetadataSource | undefined,
  http: HttpOptions,
  clock: () => number,
): RemoteKeySet | undefined {
  const { issuer, signedResponse = false, allowInsecureHttp = false } = options;
  if (issuer === undefined || !signedResponse) return undefined;
  const where = { issuer, jwksUri: undefined, metadata, allowInsecureHttp };
  return new RemoteKeySet({ ...where, http, clock, cooldown: 30, snapshot: undefined, ...DOCUMENTS });
}

async function findEndpoint(configured: string | undefined, metadata: MetadataSource | undefined): Promise<string> {
  const found = configured ?? (await metadata?.get())?.introspection_endpoint;
  if (found === undefined) throw new TypeError('the metadata has no introspection_endpoint that may be asked');
  return found;
}

function signedRules(
  { issuer, clientId, audience = false, profile }: Partial<IntrospectionVerifierOptions>,
  keys: RemoteKeySet | undefined,
): SignedResponseRules | undefined {
  if (issuer === undefined || clientId === undefined || keys === undefined) return undefined;
  const algorithms = algorithmsOf('introspectionVerifier: signedResponse', undefined, ASYMMETRIC, profile);
  const recipients = [clientId, ...(audience === false ? [] : [audience].flat())];
  return { issuer, recipients, keys, algorithms: new Set(algorithms) };
}
