import { ClientAuthenticator } from '../issuer/client-authentication.js';
import type { HttpOptions } from '../issuer/http.js';
import { IntrospectionClient } from '../issuer/introspection-client.js';
import type { SignedResponseRules } from '../issuer/introspection-response.js';
import { addressIn } from '../issuer/metadata.js';
import { MetadataSource } from '../issuer/metadata-source.js';
import type { TenantBudget } from '../issuer/request-budget.js';
import type { KeySource } from '../issuer/key-set.js';
import { keySetFor } from '../issuer/shared-key-set.js';
import { UpstreamMonitor } from '../issuer/upstream-monitor.js';
import { ASYMMETRIC } from '../token/algorithms.js';
import { algorithmsOf } from '../token/profile.js';
import type { Clock } from '../util/clock.js';
import { withoutQuery } from '../util/url.js';
import { type IntrospectionVerifierOptions, needsMetadata } from './introspection-options.js';
import { readCache } from './introspection-cache-options.js';
import { DEFAULT_CLOCK_TOLERANCE, globalFetch } from './shared-options.js';

/** Everything that talks to the authorization server. */
export interface IntrospectionConnection {
  readonly introspectionClient: IntrospectionClient;
  readonly monitor: UpstreamMonitor;
  /** Undefined if nothing is discovered. */
  readonly metadata: MetadataSource | undefined;
  /** The keys of signed responses. */
  readonly keys: KeySource | undefined;
  /** What the responses depend on, in addition to the token. */
  readonly scope: readonly unknown[];
}

type Options = Partial<IntrospectionVerifierOptions>;

/** What everything that talks to the authorization server needs. */
interface Parts {
  readonly http: HttpOptions;
  readonly clock: Clock;
  readonly monitor: UpstreamMonitor;
}

/** Maximum size of metadata, of keys, and of an introspection response. Bytes. */
const MAX_DOCUMENT_BYTES = 1_048_576;
const DEFAULT_MAX_BYTES = 65_536;
/** How metadata and keys are cached. Seconds. */
const DOCUMENTS = { refreshInterval: undefined, maxStale: 86_400 };
const COOLDOWN = 30;

export function connectToServer(options: Options, clock: Clock, budget?: TenantBudget): IntrospectionConnection {
  const { issuer, clientId, introspectionEndpoint, timeout = 5, signedResponse = false } = options;
  const { maxBytes = DEFAULT_MAX_BYTES } = options;
  const monitor = new UpstreamMonitor({
    issuer,
    server: issuer ?? withoutQuery(introspectionEndpoint ?? ''),
    clockTolerance: options.clockTolerance ?? DEFAULT_CLOCK_TOLERANCE,
    served: () => describeUse(options),
    clock,
    reports: budget?.reports,
  });
  const onResponse = monitor.responded;
  const http: HttpOptions = { fetch: options.fetch ?? globalFetch, timeout, maxBytes, onResponse };
  const documents: HttpOptions = { ...http, maxBytes: Math.max(maxBytes, MAX_DOCUMENT_BYTES) };
  const parts: Parts = { http: documents, clock, monitor };
  const metadata = createMetadata(options, parts);
  const keys = signedResponse ? createKeys(options, metadata, parts) : undefined;
  const endpoint = async (): Promise<string> => {
    if (introspectionEndpoint !== undefined) return introspectionEndpoint;
    if (metadata === undefined) throw new TypeError('there is no metadata to discover the endpoint by');
    return addressIn(await metadata.get(), 'introspection_endpoint');
  };
  const isDiscovered = introspectionEndpoint === undefined && metadata !== undefined;
  const rediscover = isDiscovered
    ? async (): Promise<string> => addressIn(await metadata.reload(), 'introspection_endpoint')
    : undefined;
  const clientAuthenticator = new ClientAuthenticator({
    clientId,
    clientSecret: options.clientSecret,
    clientAuthentication: options.clientAuthentication ?? 'client_secret_basic',
    audience: issuer,
    timeout,
    clock,
  });
  const signed = signedRules(options, keys);
  return {
    introspectionClient: new IntrospectionClient({
      endpoint,
      rediscover,
      clientAuthenticator,
      signed,
      budget,
      ...parts,
      http: isDiscovered ? { ...http, discoveredAs: 'introspection_endpoint' } : http,
    }),
    monitor,
    metadata,
    keys,
    scope: scopeOf(options, [...(signed?.algorithms ?? [])]),
  };
}

/** What requests receive while the authorization server has a problem. */
function describeUse({ cache, maxStale = 0 }: Options): string {
  if (cache === false) return 'Requests with a token receive 503.';
  const { maxAge } = readCache(cache ?? {});
  return `Cached results stay in use for ${maxAge + maxStale} seconds; requests with other tokens receive 503.`;
}

function scopeOf(options: Options, algorithms: readonly string[]): readonly unknown[] {
  const { issuer, introspectionEndpoint, metadataUrl, clientId, profile, jwksUri, audience = false } = options;
  return [
    { issuer, introspectionEndpoint, metadataUrl, clientId, profile },
    // A signed response was verified with these keys.
    { algorithms, jwksUri },
    audience === false ? false : [audience].flat().map(String).sort(),
  ];
}

function createMetadata(options: Options, parts: Parts): MetadataSource | undefined {
  const { issuer, metadataUrl, signedResponse = false } = options;
  const { allowInsecureHttp = false, allowPrivateAddresses = false } = options;
  if (issuer === undefined || !needsMetadata(options)) return undefined;
  const needed = options.introspectionEndpoint === undefined ? 'introspection_endpoint' : 'jwks_uri';
  const location = { issuer, metadataUrl, allowInsecureHttp, allowPrivateAddresses, needed } as const;
  return new MetadataSource({ ...location, ...parts, refreshAhead: !signedResponse, ...DOCUMENTS });
}

function createKeys(
  { issuer, jwksUri, allowInsecureHttp = false, allowPrivateAddresses = false }: Options,
  metadata: MetadataSource | undefined,
  parts: Parts,
): KeySource | undefined {
  if (issuer === undefined) return undefined;
  const location = { issuer, jwksUri, metadata, allowInsecureHttp, allowPrivateAddresses };
  return keySetFor({ ...location, ...parts, cooldown: COOLDOWN, snapshot: undefined, ...DOCUMENTS });
}

function signedRules(options: Options, keys: KeySource | undefined): SignedResponseRules | undefined {
  const { issuer, clientId, audience = false, profile } = options;
  if (issuer === undefined || clientId === undefined || keys === undefined) return undefined;
  const algorithms = algorithmsOf('introspectionVerifier: signedResponse', undefined, ASYMMETRIC, profile);
  // RFC 9701 §5: the resource server is the audience. Some servers write its client id, others the audience of the API.
  const recipients = [clientId, ...(audience === false ? [] : [audience].flat())];
  return { issuer, recipients, keys, algorithms: new Set(algorithms) };
}
