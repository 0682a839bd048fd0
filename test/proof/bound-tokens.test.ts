import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import express, { type RequestHandler } from 'express';
import { decodeJwt, generateKeyPair } from 'jose';
import * as oauth from 'oauth4webapi';
import * as client from 'openid-client';
import {
  getAuth,
  introspectionBearer,
  type IntrospectionBearerOptions,
  jwtBearer,
  type JwtBearerOptions,
  type Middleware,
} from '../../lib/index.js';
import { BindingServer, JWT, OPAQUE, SECRETS } from '../support/binding-server.js';
import { makeCertificate, type TestCertificate } from '../support/certificates.js';
import { listen, serve } from '../support/helpers.js';
import { cloneInThisRealm } from '../support/one-realm.js';
import { getTls, listenTls } from '../support/tls.js';

cloneInThisRealm();

// eslint-disable-next-line @typescript-eslint/no-deprecated -- marked as deprecated only to attract attention: this is loopback
const INSECURE = { [oauth.allowInsecureRequests]: true };

let server: BindingServer;
let own: TestCertificate;
let other: TestCertificate;

beforeAll(async () => {
  server = await BindingServer.start();
  own = makeCertificate('certified');
  other = makeCertificate('thief');
});

afterAll(() => server.close());

const forJwts = (options: Partial<JwtBearerOptions>): Middleware =>
  jwtBearer({ issuer: server.url, audience: JWT, ...options });

const forOpaque = (options: Partial<IntrospectionBearerOptions>): Middleware =>
  introspectionBearer({ issuer: server.url, clientId: 'api', clientSecret: SECRETS.api, audience: OPAQUE, ...options });

type RecordedResponses = { status: number; proof: string | undefined }[];

/** An API that returns the scheme, and its responses so far. */
async function listenTo(guard: Middleware): Promise<{ url: string; responses: RecordedResponses }> {
  const responses: RecordedResponses = [];
  const record: RequestHandler = (req, res, next) => {
    res.on('finish', () => responses.push({ status: res.statusCode, proof: req.get('dpop') }));
    next();
  };
  const app = express();
  app.use(record, guard, (req, res) => {
    const { clientId, scheme, format } = getAuth(req);
    res.json({ clientId, scheme, format });
  });
  return { url: `http://127.0.0.1:${await listen(app)}/orders?limit=1`, responses };
}

async function discover(clientId: 'anyone' | 'prover'): Promise<client.Configuration> {
  const authentication = client.ClientSecretBasic(SECRETS[clientId]);
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked as deprecated only to attract attention: this is loopback
  const execute = [client.allowInsecureRequests];
  return client.discovery(new URL(server.url), clientId, undefined, authentication, { execute });
}

describe('a DPoP-bound token of openid-client', () => {
  let configuration: client.Configuration;
  let proofs: client.DPoPHandle;

  beforeEach(async () => {
    configuration = await discover('prover');
    proofs = client.getDPoPHandle(configuration, await client.randomDPoPKeyPair('ES256'));
  });

  const issue = async (resource: string): Promise<string> => {
    const form = { resource, scope: 'orders:read' };
    const { access_token, token_type } = await client.clientCredentialsGrant(configuration, form, { DPoP: proofs });
    expect(token_type).toBe('dpop');
    return access_token;
  };
  const call = async (url: string, token: string): Promise<unknown> => {
    const [none, empty] = [undefined, null];
    const options = { DPoP: proofs };
    return (
      await client.fetchProtectedResource(configuration, token, new URL(url), 'GET', empty, none, options)
    ).json();
  };

  it.each([['required'], ['allowed']] as const)('is accepted with a proof for each request: %s', async (dpop) => {
    const { url, responses } = await listenTo(forJwts({ dpop }));
    const token = await issue(JWT);
    expect(await call(url, token)).toEqual({ clientId: 'prover', scheme: 'DPoP', format: 'jwt' });
    expect(await call(url, token)).toEqual({ clientId: 'prover', scheme: 'DPoP', format: 'jwt' });
    expect(responses.map(({ status }) => status)).toEqual([200, 200]);
  });

  it('can be opaque', async () => {
    const { url } = await listenTo(forOpaque({ dpop: 'required' }));
    expect(await call(url, await issue(OPAQUE))).toEqual({ clientId: 'prover', scheme: 'DPoP', format: 'opaque' });
  });

  it.each([
    ['JWT', JWT, (dpop: JwtBearerOptions['dpop']) => forJwts({ ...(dpop && { dpop }) })],
    ['opaque', OPAQUE, (dpop: JwtBearerOptions['dpop']) => forOpaque({ ...(dpop && { dpop }) })],
  ])('is accepted with the required nonce, which the client keeps using: %s', async (_format, resource, guard) => {
    const { url, responses } = await listenTo(guard({ mode: 'required', nonce: true }));
    const token = await issue(resource);
    await call(url, token);
    await call(url, token);
    expect(responses.map(({ status }) => status)).toEqual([401, 200, 200]);
  });

  it('is accepted with the profile fapi2', async () => {
    const { url } = await listenTo(forJwts({ profile: 'fapi2' }));
    expect(await call(url, await issue(JWT))).toEqual({ clientId: 'prover', scheme: 'DPoP', format: 'jwt' });
  });

  it.each<[string, (token: string, proof: string, url: string) => Promise<Record<string, string>>]>([
    ['as a bearer token', async (token) => Promise.resolve({ Authorization: `Bearer ${token}` })],
    ['with a used proof', async (token, proof) => Promise.resolve({ Authorization: `DPoP ${token}`, DPoP: proof })],
    [
      'with a proof of another key',
      async (token, _proof, url) => {
        const thief = oauth.DPoP({}, await generateKeyPair('ES256'));
        const headers = new Headers();
        const forged = await captureProof(token, url, headers, thief);
        return { Authorization: `DPoP ${token}`, DPoP: forged };
      },
    ],
  ])('is rejected if it is stolen and sent %s', async (_how, steal) => {
    const { url, responses } = await listenTo(forJwts({ dpop: 'allowed' }));
    const token = await issue(JWT);
    await call(url, token);
    const headers = await steal(token, responses[0]?.proof ?? '', url);
    expect((await fetch(url, { headers })).status).toBe(401);
  });
});

/** The proof that a client with oauth4webapi would send. */
async function captureProof(token: string, url: string, headers: Headers, handle: oauth.DPoPHandle): Promise<string> {
  let proof = '';
  await oauth.protectedResourceRequest(token, 'GET', new URL(url), headers, null, {
    DPoP: handle,
    ...INSECURE,
    [oauth.customFetch]: (_url, init) => {
      proof = new Headers(init.headers).get('DPoP') ?? '';
      return Promise.resolve(new Response());
    },
  });
  return proof;
}

describe('a DPoP-bound token of oauth4webapi', () => {
  it.each(['ES256', 'PS256', 'Ed25519'])('is accepted after a retry with the required nonce: %s', async (alg) => {
    const { url, responses } = await listenTo(forJwts({ dpop: { mode: 'required', nonce: true } }));
    const handle = oauth.DPoP({}, await generateKeyPair(alg, { extractable: true }));
    const token = await issueBoundTo(handle);
    const call = (): Promise<Response> =>
      oauth.protectedResourceRequest(token, 'GET', new URL(url), undefined, null, {
        DPoP: handle,
        ...INSECURE,
      });
    const response = await call().catch((error: unknown) => {
      if (oauth.isDPoPNonceError(error)) return call();
      throw error;
    });
    expect(await response.json()).toMatchObject({ clientId: 'prover', scheme: 'DPoP' });
    expect(responses.map(({ status }) => status)).toEqual([401, 200]);
  });

  async function issueBoundTo(handle: oauth.DPoPHandle): Promise<string> {
    const as = await oauth.processDiscoveryResponse(
      new URL(server.url),
      await oauth.discoveryRequest(new URL(server.url), INSECURE),
    );
    const form = new URLSearchParams({ resource: JWT, scope: 'orders:read' });
    const prover = { client_id: 'prover' };
    const send = (): Promise<Response> =>
      oauth.clientCredentialsGrantRequest(as, prover, oauth.ClientSecretBasic(SECRETS.prover), form, {
        DPoP: handle,
        ...INSECURE,
      });
    return (await oauth.processClientCredentialsResponse(as, prover, await send())).access_token;
  }
});

describe('a certificate-bound token of a real server', () => {
  const guards: readonly (readonly [string, string, () => Middleware])[] = [
    ['JWT', JWT, () => forJwts({ mtls: 'required' })],
    ['opaque', OPAQUE, () => forOpaque({ mtls: 'required' })],
    ['JWT, with the profile fapi2', JWT, () => forJwts({ profile: 'fapi2' })],
    ['opaque, with the profile fapi2', OPAQUE, () => forOpaque({ profile: 'fapi2' })],
  ];

  it.each(guards)('is accepted only on a connection with that certificate: %s', async (_what, resource, guard) => {
    const port = await listenTls(serve(guard()), makeCertificate('api'));
    const token = await server.issueTo(own, resource);
    const results = [
      await getTls(port, { token, certificate: own }),
      await getTls(port, { token, certificate: other }),
      await getTls(port, { token }),
    ];
    expect(results.map(({ status }) => status)).toEqual([200, 401, 401]);
  });

  it('has the confirmation of RFC 8705', async () => {
    const { cnf } = decodeJwt(await server.issueTo(own, JWT));
    expect(cnf).toEqual({ 'x5t#S256': own.thumbprint });
  });
});

describe('an unbound token', () => {
  it.each<[string, Partial<JwtBearerOptions>, number]>([
    ['is accepted if bindings are allowed', { dpop: 'allowed', mtls: 'allowed' }, 200],
    ['is rejected if DPoP is required', { dpop: 'required' }, 401],
    ['is rejected if a certificate is required', { mtls: 'required' }, 401],
    ['is rejected with the profile fapi2', { profile: 'fapi2' }, 401],
  ])('%s', async (_what, options, status) => {
    const configuration = await discover('anyone');
    const form = { resource: JWT, scope: 'orders:read' };
    const { access_token: token } = await client.clientCredentialsGrant(configuration, form);
    const { url } = await listenTo(forJwts(options));
    expect((await fetch(url, { headers: { Authorization: `Bearer ${token}` } })).status).toBe(status);
  });
});
