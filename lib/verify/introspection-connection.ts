import { ClientAuthenticator } from '../issuer/client-authentication.js';
import type { HttpOptions } from '../issuer/http.js';
import { IntrospectionClient, type SignedResponseRules } from '../issuer/introspection-client.js';
import { addressIn } from '../issuer/metadata.js';
import { MetadataSource } from '../issuer/metadata-source.js';
import type { KeySource } from '../issuer/key-set.js';
import { keySetFor } from '../issuer/shared-key-set.js';
import { UpstreamMonitor } from '../issuer/upstream-monitor.js';
import { ASYMMETRIC } from '../token/algorithms.js';
import { algorithmsOf } from '../token/profile.js';
import type { Clock } from '../util/clock.js';
import type { IntrospectionVerifierOptions } from './introspection-options.js';
import { globalFetch } from './shared-options.js';

/** Everything that talks to the authorization server. */
export interface IntrospectionConnection {
  readonly introspectionClient: IntrospectionClient;
  /** Undefined if nothing is discovered. */
  readonly metadata: MetadataSource | undefined;
  /** The keys of signed responses. */
  readonly keys: KeySource | undefined;
  /** The algorithms of signed responses; empty if responses are plain JSON. */
  readonly algorithms: readonly string[];
}

type Options = Partial<IntrospectionVerifierOptions>;

/** What everything that talks to the authorization server needs. */
interface Parts {
  readonly http: HttpOptions;
  readonly clock: Clock;
  readonly monitor: UpstreamMonitor;
}

/** How metadata and keys are cached. Seconds. */
const DOCUMENTS = { refreshInterval: undefined, maxStale: 86_400 };
const COOLDOWN = 30;

export function connectToServer(options: Options, clock: Clock): IntrospectionConnection {
  const { issuer, clientId, introspectionEndpoint, timeout = 5, signedResponse = false } = options;
  const http: HttpOptions = { fetch: options.fetch ?? globalFetch, timeout, maxBytes: options.maxBytes ?? 1_048_576 };
  const monitor = new UpstreamMonitor(issuer);
  const parts: Parts = { http, clock, monitor };
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
    introspectionClient: new IntrospectionClient({ endpoint, rediscover, clientAuthenticator, signed, ...parts }),
    metadata,
    keys,
    algorithms: [...(signed?.algorithms ?? [])],
  };
}

/** Whether something is discovered: the endpoint, or the keys of signed responses. */
export function needsMetadata({ introspectionEndpoint, signedResponse = false, jwksUri }: Options): boolean {
  return introspectionEndpoint === undefined || (signedResponse && jwksUri === undefined);
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
