import { randomBytes } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import { type ClientMetadata, type Configuration, errors, Provider } from 'oidc-provider';
import { createMemoryAdapter } from './issuer-adapter.js';
import { listen, type RunningServer } from './listen.js';

export interface IssuerOptions {
  readonly clients: readonly ClientMetadata[];
  /** The APIs that tokens are issued for, by identifier. */
  readonly resources: Readonly<Record<string, Resource>>;
  readonly ports?: readonly number[];
}

export interface Resource {
  /** Space-delimited. */
  readonly scope: string;
  /** The client that may introspect tokens for this API. If it is set, the tokens are opaque; otherwise they are JWTs. */
  readonly introspectedBy?: string;
}

export interface Issuer extends RunningServer {
  /** Signs with a new key from now on. The previous key stays published, because tokens that it signed are still valid. */
  rotateKey(): Promise<void>;
}

const ALGORITHM = 'ES256';
const TOKEN_LIFETIME = 300;

/** Starts an authorization server that issues JWT (RFC 9068) and opaque access tokens with the client-credentials grant. */
export async function startIssuer(options: IssuerOptions): Promise<Issuer> {
  const configuration = configure(options);
  let keys: JWK[] = [await makeSigningKey()];
  let handle: RequestListener = (_req, res) => res.writeHead(503).end();
  const listening = await listen((req, res) => {
    handle(req, res);
  }, options.ports);

  // A provider cannot change its keys, so a rotation creates a new provider behind the same URL.
  const serve = (): void => {
    const provider = new Provider(listening.url, { ...configuration, jwks: { keys } });
    const callback = provider.callback();
    handle = (req, res) => void callback(req, res);
  };
  serve();
  return {
    ...listening,
    rotateKey: async () => {
      keys = [await makeSigningKey(), ...keys.slice(0, 1)];
      serve();
    },
  };
}

function configure({ clients, resources }: IssuerOptions): Configuration {
  const resourceOf = (id: string): Resource | undefined => (Object.hasOwn(resources, id) ? resources[id] : undefined);
  const isIntrospectedBy = (aud: unknown, clientId: string): boolean =>
    typeof aud === 'string' && resourceOf(aud)?.introspectedBy === clientId;
  return {
    adapter: createMemoryAdapter(),
    clients: [...clients],
    clientAuthMethods: ['client_secret_basic', 'private_key_jwt'],
    clientDefaults: { id_token_signed_response_alg: ALGORITHM },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    scopes: [...new Set(Object.values(resources).flatMap(({ scope }) => scope.split(' ')))],
    responseTypes: [],
    ttl: { ClientCredentials: TOKEN_LIFETIME },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: {
        enabled: true,
        // Only the API that the token is for may introspect it.
        allowedPolicy: (_ctx, client, token) => 'aud' in token && isIntrospectedBy(token.aud, client.clientId),
      },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => {
          const found = resourceOf(resource);
          if (found === undefined) throw new errors.InvalidTarget();
          const { scope, introspectedBy } = found;
          if (introspectedBy !== undefined) return { scope, audience: resource, accessTokenFormat: 'opaque' };
          return { scope, audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: ALGORITHM } } };
        },
      },
    },
  };
}

async function makeSigningKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: ALGORITHM, use: 'sig' };
}
