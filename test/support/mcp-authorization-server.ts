import type { IncomingMessage, ServerResponse } from 'node:http';
import { type CryptoKey, exportJWK, generateKeyPair } from 'jose';
import { type Adapter, type AdapterPayload, type ClientMetadata, Provider } from 'oidc-provider';
import { listen } from '../../example-app/listen.js';

const ALGORITHM = 'ES256';
const SCOPES = 'files:read files:write';
const USER = 'somebody';

/** Where the user's browser returns to the client. Nothing listens there: the test reads the redirect. */
export const REDIRECT_URL = 'http://localhost:9/callback';

/** Clients that are registered from the start. */
export const SECRET_CLIENT = { clientId: 'secret-client', clientSecret: 'secret-of-the-client' };
export const KEY_CLIENT = 'key-client';
export const BOUND_CLIENT = { clientId: 'bound-client', clientSecret: 'secret-of-the-bound-client' };

/** The MCP server itself, which introspects tokens. */
export const SERVER_CLIENT = { clientId: 'mcp-server', clientSecret: 'secret-of-the-server' };
/** A public client that people sign in to. */
export const PERSON_CLIENT = 'person-client';

/**
 * A real authorization server for MCP clients: client credentials, authorization code with PKCE, dynamic registration,
 * refresh tokens, DPoP, introspection and revocation. Every user signs in and consents immediately.
 */
export class McpAuthorizationServer {
  private constructor(
    readonly url: string,
    /** The key of `KEY_CLIENT`. */
    readonly clientKey: CryptoKey,
    readonly close: () => Promise<void>,
  ) {}

  /** Resources whose path starts with `/opaque` have opaque tokens, others JWTs. */
  static async start(): Promise<McpAuthorizationServer> {
    let handle = (_req: IncomingMessage, res: ServerResponse): void => {
      res.writeHead(503).end();
    };
    const server = await listen((req, res) => {
      handle(req, res);
    });
    const { privateKey, publicKey } = await generateKeyPair(ALGORITHM, { extractable: true });
    const provider = await makeProvider(server.url, publicKey);
    const callback = provider.callback();
    handle = (req, res) => {
      if (req.url?.startsWith('/interaction/') === true) consent(provider, req, res);
      else void callback(req, res);
    };
    return new McpAuthorizationServer(server.url, privateKey, () => server.close());
  }
}

/** What a browser does with an authorization request: follows the redirects, with cookies, until it returns to the client. */
export async function authorizeInBrowser(request: URL): Promise<URL> {
  const cookies = new Map<string, string>();
  let url = request;
  for (let redirects = 0; redirects < 10; redirects++) {
    if (url.href.startsWith(REDIRECT_URL)) return url;
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { redirect: 'manual', headers: { cookie } });
    await response.arrayBuffer();
    for (const field of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(field) ?? [];
      cookies.set(name, value);
    }
    const location = response.headers.get('Location');
    if (location === null) throw new Error(`${url.pathname} responded ${response.status}`);
    url = new URL(location, url);
  }
  throw new Error('too many redirects');
}

function consent(provider: Provider, req: IncomingMessage, res: ServerResponse): void {
  const finish = async (): Promise<void> => {
    const { params, grantId: known } = await provider.interactionDetails(req, res);
    const grant = known === undefined ? undefined : await provider.Grant.find(known);
    const granted = grant ?? new provider.Grant({ accountId: USER, clientId: String(params.client_id) });
    const { scope, resource } = params;
    // The server counts every scope that it knows among those of OpenID Connect too.
    granted.addOIDCScope(String(scope));
    granted.addResourceScope(String(resource), String(scope));
    const result = { login: { accountId: USER }, consent: { grantId: await granted.save() } };
    await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
  };
  finish().catch((error: unknown) => {
    res.writeHead(500).end(String(error));
  });
}

async function makeProvider(url: string, clientKey: CryptoKey): Promise<Provider> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  const machine = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'], scope: SCOPES };
  const secret = ({
    clientId,
    clientSecret,
  }: typeof SECRET_CLIENT): Partial<ClientMetadata> & { client_id: string } => ({
    client_id: clientId,
    client_secret: clientSecret,
  });
  const clients: ClientMetadata[] = [
    { ...machine, ...secret(SECRET_CLIENT) },
    { ...machine, ...secret(BOUND_CLIENT), dpop_bound_access_tokens: true },
    {
      ...{ ...machine, client_id: KEY_CLIENT, token_endpoint_auth_method: 'private_key_jwt' },
      token_endpoint_auth_signing_alg: ALGORITHM,
      jwks: { keys: [{ ...(await exportJWK(clientKey)), alg: ALGORITHM, use: 'sig' }] },
    },
    {
      ...{ client_id: PERSON_CLIENT, token_endpoint_auth_method: 'none', scope: SCOPES },
      ...{ redirect_uris: [REDIRECT_URL], response_types: ['code'], grant_types: ['authorization_code'] },
    },
    { ...machine, ...secret(SERVER_CLIENT), grant_types: [] },
  ];
  const provider = new Provider(url, {
    adapter: makeAdapter(),
    clients,
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: ALGORITHM, use: 'sig', kid: 'server-key' }] },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    clientDefaults: { id_token_signed_response_alg: ALGORITHM },
    cookies: { keys: ['a key that signs the cookies of a test'] },
    enabledJWA: { dPoPSigningAlgValues: ['ES256'] },
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    pkce: { required: () => true },
    scopes: ['openid', 'offline_access', ...SCOPES.split(' ')],
    ttl: {
      AccessToken: 300,
      ClientCredentials: 300,
      Grant: 3_600,
      Interaction: 600,
      Session: 3_600,
      RefreshToken: 3_600,
    },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      registration: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => {
          const format = new URL(resource).pathname.startsWith('/opaque') ? 'opaque' : 'jwt';
          const jwt = { sign: { alg: ALGORITHM } } as const;
          return { scope: SCOPES, audience: resource, accessTokenFormat: format, jwt };
        },
      },
    },
  });
  provider.on('server_error', (_ctx, error) => {
    throw error;
  });
  return provider;
}

/** Storage in memory, for all grants. */
function makeAdapter(): (model: string) => Adapter {
  const entries = new Map<string, AdapterPayload>();
  const findBy = (model: string, member: 'uid' | 'userCode', value: string): AdapterPayload | undefined =>
    [...entries].find(([key, payload]) => key.startsWith(`${model}:`) && payload[member] === value)?.[1];
  return (model) => ({
    upsert: (id, payload) => {
      entries.set(`${model}:${id}`, payload);
      return Promise.resolve();
    },
    find: (id) => Promise.resolve(entries.get(`${model}:${id}`)),
    findByUid: (uid) => Promise.resolve(findBy(model, 'uid', uid)),
    findByUserCode: (code) => Promise.resolve(findBy(model, 'userCode', code)),
    destroy: (id) => {
      entries.delete(`${model}:${id}`);
      return Promise.resolve();
    },
    consume: (id) => {
      const payload = entries.get(`${model}:${id}`);
      if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000);
      return Promise.resolve();
    },
    revokeByGrantId: (grantId) => {
      for (const [key, payload] of entries) if (payload.grantId === grantId) entries.delete(key);
      return Promise.resolve();
    },
  });
}
