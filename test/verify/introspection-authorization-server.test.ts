import type { RequestListener } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import type { Express } from 'express';
import { exportJWK, exportPKCS8, generateKeyPair } from 'jose';
import { type ClientMetadata, errors, Provider } from 'oidc-provider';
import {
  introspectionBearer,
  type IntrospectionVerifierOptions,
  jwtVerifier,
  bearer,
  requireMachine,
  requireScopes,
  trustedIssuers,
  introspectionVerifier,
} from '../../lib/index.js';
import { createMemoryAdapter } from '../../example-app/issuer-adapter.js';
import { expectForbidden, expectInvalidToken, get, listen, serve } from '../support/helpers.js';
import { movableClock } from '../support/introspection.js';
import { cloneInThisRealm } from '../support/one-realm.js';

cloneInThisRealm();

const OPAQUE = 'https://partner.example.com';
const JWT = 'https://orders.example.com';
const ALGORITHM = 'ES256';
// Each of these characters has a meaning in a form, in base64 or in the pair "name:secret".
const SECRET = 'p+r t%n:/r&=?~secret-of-the-api';

const caller = { client_id: 'caller', client_secret: 'secret-of-the-caller' };
const usual = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'] };

/** A real authorization server that knows a client and this API, and issues opaque tokens and JWTs. */
async function startServer(api: Partial<ClientMetadata> = {}) {
  let handle: RequestListener = (_req, res) => res.writeHead(503).end();
  const port = await listen((req, res) => {
    handle(req, res);
  });
  const url = `http://127.0.0.1:${port}`;
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  const clients: ClientMetadata[] = [
    { ...usual, ...caller },
    { ...usual, client_id: 'the:api', ...(api.jwks === undefined ? { client_secret: SECRET } : {}), ...api },
  ];
  const provider = new Provider(url, {
    adapter: createMemoryAdapter(),
    clients,
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: ALGORITHM, use: 'sig', kid: 'server-key' }] },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    clientDefaults: { id_token_signed_response_alg: ALGORITHM, introspection_signed_response_alg: ALGORITHM },
    enabledJWA: { introspectionSigningAlgValues: [ALGORITHM] },
    scopes: ['orders:read', 'orders:write', 'offline_access'],
    responseTypes: [],
    ttl: { ClientCredentials: 300 },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: () => true },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => {
          const format = { [OPAQUE]: 'opaque', [JWT]: 'jwt' } as const;
          if (resource !== OPAQUE && resource !== JWT) throw new errors.InvalidTarget();
          return {
            scope: 'orders:read orders:write',
            audience: resource,
            accessTokenFormat: format[resource],
            jwt: { sign: { alg: ALGORITHM } },
          };
        },
      },
    },
  });
  const callback = provider.callback();
  handle = (req, res) => void callback(req, res);

  const post = (path: string, form: Record<string, string>): Promise<Response> => {
    const credentials = Buffer.from(`${caller.client_id}:${caller.client_secret}`).toString('base64');
    const headers = { Authorization: `Basic ${credentials}` };
    return fetch(url + path, { method: 'POST', headers, body: new URLSearchParams(form) });
  };
  const issue = async (resource = OPAQUE, scope = 'orders:read'): Promise<string> => {
    const response = await post('/token', { grant_type: 'client_credentials', resource, scope });
    const body = (await response.json()) as { access_token?: string };
    if (body.access_token === undefined) throw new Error(`no token: ${JSON.stringify(body)}`);
    return body.access_token;
  };
  const revoke = async (token: string): Promise<void> => {
    expect((await post('/token/revocation', { token })).status).toBe(200);
  };
  const issueRefreshToken = async (): Promise<string> => {
    const client = await provider.Client.find(caller.client_id);
    if (client === undefined) throw new Error('no client');
    const grantId = await new provider.Grant({ accountId: 'alice', clientId: client.clientId }).save();
    const values = { accountId: 'alice', client, grantId, scope: 'orders:read', gty: 'authorization_code' };
    // There is no session.
    return new provider.RefreshToken({ ...values, expiresWithSession: false }).save();
  };
  return { url, issue, revoke, issueRefreshToken };
}

type Server = Awaited<ReturnType<typeof startServer>>;

function apiFor(server: Server, options: Partial<IntrospectionVerifierOptions> = {}): Express {
  // The responses of oidc-provider do not say which grant issued a token. This server issues tokens to machines only.
  const isMachine = (): boolean => true;
  const all = {
    issuer: server.url,
    clientId: 'the:api',
    clientSecret: SECRET,
    audience: OPAQUE,
    isMachine,
    ...options,
  };
  const { clientSecret, ...others } = all;
  const needsSecret = typeof all.clientAuthentication !== 'object';
  const guard = introspectionBearer(needsSecret ? { ...others, clientSecret } : others);
  return serve(guard, requireMachine(), requireScopes('orders:read'));
}

describe('an API for the opaque tokens of a real authorization server', () => {
  it('accepts an opaque token and returns its client', async () => {
    const server = await startServer();
    const response = await get(apiFor(server), await server.issue());
    expect(response.body).toEqual({ clientId: 'caller', scopes: ['orders:read'], isMachine: true });
    expect(response.status).toBe(200);
  });

  it('checks the scopes that the server granted', async () => {
    const server = await startServer();
    await expectForbidden(apiFor(server), await server.issue(OPAQUE, 'orders:write'), 'scope_missing', 'orders:read');
  });

  it('rejects a token that was never issued, and a token for another API', async () => {
    const server = await startServer();
    await expectInvalidToken(apiFor(server), 'made-up', 'inactive');
    const other = apiFor(server, { audience: JWT });
    await expectInvalidToken(other, await server.issue(), 'audience_mismatch');
  });

  // The server responds `active: true` for a refresh token, and nothing in the response says what it is.
  it('rejects a refresh token by its audience, or by a member that only responses for access tokens have', async () => {
    const server = await startServer();
    const token = await server.issueRefreshToken();
    await expectInvalidToken(apiFor(server), token, 'audience_missing');
    const withoutAudience = apiFor(server, { audience: false, requiredClaims: ['token_type'] });
    await expectInvalidToken(withoutAudience, token, 'claim_missing');
    expect((await get(withoutAudience, await server.issue())).status).toBe(200);
  });

  it('rejects a revoked token after cache.maxAge at the latest', async () => {
    const server = await startServer();
    const time = movableClock(Date.now() / 1000);
    const app = apiFor(server, { clock: time.clock, cache: { maxAge: 20 } });
    const token = await server.issue();
    expect((await get(app, token)).status).toBe(200);
    await server.revoke(token);
    expect((await get(app, token)).status).toBe(200);
    time.now += 20;
    await expectInvalidToken(app, token, 'inactive');
  });

  it('rejects a revoked token immediately with cache: false', async () => {
    const server = await startServer();
    const app = apiFor(server, { cache: false });
    const token = await server.issue();
    expect((await get(app, token)).status).toBe(200);
    await server.revoke(token);
    await expectInvalidToken(app, token, 'inactive');
  });

  it('receives signed responses if it requests them', async () => {
    const server = await startServer();
    const app = apiFor(server, { signedResponse: true });
    expect((await get(app, await server.issue())).status).toBe(200);
    await expectInvalidToken(app, 'made-up', 'inactive');
  });

  it('can authenticate with client_secret_post', async () => {
    const server = await startServer({ token_endpoint_auth_method: 'client_secret_post' });
    const app = apiFor(server, { clientAuthentication: 'client_secret_post' });
    expect((await get(app, await server.issue())).status).toBe(200);
  });

  it('can authenticate with private_key_jwt', async () => {
    const { privateKey, publicKey } = await generateKeyPair(ALGORITHM, { extractable: true });
    const server = await startServer({
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: ALGORITHM,
      jwks: { keys: [{ ...(await exportJWK(publicKey)), alg: ALGORITHM, use: 'sig' }] },
    });
    const key = await exportPKCS8(privateKey);
    const app = apiFor(server, { clientAuthentication: { privateKey: key, algorithm: ALGORITHM } });
    expect((await get(app, await server.issue())).status).toBe(200);
    expect((await get(app, await server.issue())).status).toBe(200);
  });

  it('responds 503 without a challenge if its own secret is wrong', async () => {
    const server = await startServer();
    const response = await get(apiFor(server, { clientSecret: 'wrong' }), await server.issue());
    expect(response.status).toBe(503);
    expect(response.headers['www-authenticate']).toBeUndefined();
  });

  it('accepts opaque tokens and JWTs of the same server', async () => {
    const server = await startServer();
    const app = serve(
      bearer(
        trustedIssuers([
          jwtVerifier({ issuer: server.url, audience: JWT }),
          introspectionVerifier({
            introspectionEndpoint: `${server.url}/token/introspection`,
            clientId: 'the:api',
            clientSecret: SECRET,
            audience: OPAQUE,
          }),
        ]),
      ),
    );
    expect((await get(app, await server.issue(JWT))).status).toBe(200);
    expect((await get(app, await server.issue(OPAQUE))).status).toBe(200);
  });
});
