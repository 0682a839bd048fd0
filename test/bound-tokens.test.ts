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
} from '../lib/index.js';
import { BindingServer, JWT, OPAQUE, SECRETS } from './binding-server.js';
import { makeCertificate, type TestCertificate } from './certificates.js';
import { listen, serve } from './helpers.js';
import { cloneInThisRealm } from './one-realm.js';
import { getTls, listenTls } from './tls.js';

cloneInThisRealm();

// eslint-disable-next-line @typescript-eslint/no-deprecated -- deprecated only to stand out: this is loopback
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

type Seen = { status: number; proof: string | undefined }[];

/** An API that tells of the scheme, and what it has answered so far. */
async function listenTo(guard: Middleware): Promise<{ url: string; seen: Seen }> {
  const seen: Seen = [];
  const note: RequestHandler = (req, res, next) => {
    res.on('finish', () => seen.push({ status: res.statusCode, proof: req.get('dpop') }));
    next();
  };
  const app = express();
  app.use(note, guard, (req, res) => {
    const { clientId, scheme, format } = getAuth(req);
    res.json({ clientId, scheme, format });
  });
  return { url: `http://127.0.0.1:${await listen(app)}/orders?limit=1`, seen };
}

async function discover(clientId: 'anyone' | 'prover'): Promise<client.Configuration> {
  const authentication = client.ClientSecretBasic(SECRETS[clientId]);
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- deprecated only to stand out: this is loopback
  const execute = [client.allowInsecureRequests];
  return client.discovery(new URL(server.url), clientId, undefined, authentication, { execute });
}

describe('a token that is bound to the key of a client on openid-client', () => {
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

  it.each([['required'], ['allowed']] as const)('passes with a proof for each request: %s', async (dpop) => {
    const { url, seen } = await listenTo(forJwts({ dpop }));
    const token = await issue(JWT);
    expect(await call(url, token)).toEqual({ clientId: 'prover', scheme: 'DPoP', format: 'jwt' });
    expect(await call(url, token)).toEqual({ clientId: 'prover', scheme: 'DPoP', format: 'jwt' });
    expect(seen.map(({ status }) => status)).toEqual([200, 200]);
  });

  it('passes where it is opaque', async () => {
    const { url } = await listenTo(forOpaque({ dpop: 'required' }));
    expect(await call(url, await issue(OPAQUE))).toEqual({ clientId: 'prover', scheme: 'DPoP', format: 'opaque' });
  });

  it.each([
    ['JWT', JWT, (dpop: JwtBearerOptions['dpop']) => forJwts({ ...(dpop && { dpop }) })],
    ['opaque', OPAQUE, (dpop: JwtBearerOptions['dpop']) => forOpaque({ ...(dpop && { dpop }) })],
  ])('passes with the nonce that is asked for, and keeps to it: %s', async (_format, resource, guard) => {
    const { url, seen } = await listenTo(guard({ mode: 'required', nonce: true }));
    const token = await issue(resource);
    await call(url, token);
    await call(url, token);
    expect(seen.map(({ status }) => status)).toEqual([401, 200, 200]);
  });

  it('passes with the profile fapi2', async () => {
    const { url } = await listenTo(forJwts({ profile: 'fapi2' }));
    expect(await call(url, await issue(JWT))).toEqual({ clientId: 'prover', scheme: 'DPoP', format: 'jwt' });
  });

  it.each<[string, (token: string, proof: string, url: string) => Promise<Record<string, string>>]>([
    ['as a bearer token', async (token) => Promise.resolve({ Authorization: `Bearer ${token}` })],
    [
      'with a proof that was used',
      async (token, proof) => Promise.resolve({ Authorization: `DPoP ${token}`, DPoP: proof }),
    ],
    [
      'with a proof by a key of its own',
      async (token, _proof, url) => {
        const thief = oauth.DPoP({}, await generateKeyPair('ES256'));
        const headers = new Headers();
        const forged = await captureProof(token, url, headers, thief);
        return { Authorization: `DPoP ${token}`, DPoP: forged };
      },
    ],
  ])('is worth nothing to a thief %s', async (_how, steal) => {
    const { url, seen } = await listenTo(forJwts({ dpop: 'allowed' }));
    const token = await issue(JWT);
    await call(url, token);
    const headers = await steal(token, seen[0]?.proof ?? '', url);
    expect((await fetch(url, { headers })).status).toBe(401);
  });
});

/** What a client on oauth4webapi would send. */
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

describe('a token that is bound to the key of a client on oauth4webapi', () => {
  it.each(['ES256', 'PS256', 'Ed25519'])('passes, after the retry that a nonce needs: %s', async (alg) => {
    const { url, seen } = await listenTo(forJwts({ dpop: { mode: 'required', nonce: true } }));
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
    expect(seen.map(({ status }) => status)).toEqual([401, 200]);
  });

  async function issueBoundTo(handle: oauth.DPoPHandle): Promise<string> {
    const as = await oauth.processDiscoveryResponse(
      new URL(server.url),
      await oauth.discoveryRequest(new URL(server.url), INSECURE),
    );
    const form = new URLSearchParams({ resource: JWT, scope: 'orders:read' });
    const prover = { client_id: 'prover' };
    const ask = (): Promise<Response> =>
      oauth.clientCredentialsGrantRequest(as, prover, oauth.ClientSecretBasic(SECRETS.prover), form, {
        DPoP: handle,
        ...INSECURE,
      });
    return (await oauth.processClientCredentialsResponse(as, prover, await ask())).access_token;
  }
});

describe('a token that is bound to the certificate of a client', () => {
  const guards: readonly (readonly [string, string, () => Middleware])[] = [
    ['JWT', JWT, () => forJwts({ mtls: 'required' })],
    ['opaque', OPAQUE, () => forOpaque({ mtls: 'required' })],
    ['JWT, with the profile fapi2', JWT, () => forJwts({ profile: 'fapi2' })],
    ['opaque, with the profile fapi2', OPAQUE, () => forOpaque({ profile: 'fapi2' })],
  ];

  it.each(guards)('passes over a connection with that certificate alone: %s', async (_what, resource, guard) => {
    const port = await listenTls(serve(guard()), makeCertificate('api'));
    const token = await server.issueTo(own, resource);
    const answers = [
      await getTls(port, { token, certificate: own }),
      await getTls(port, { token, certificate: other }),
      await getTls(port, { token }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 401, 401]);
  });

  it('says so the way RFC 8705 does', async () => {
    const { cnf } = decodeJwt(await server.issueTo(own, JWT));
    expect(cnf).toEqual({ 'x5t#S256': own.thumbprint });
  });
});

describe('a token that is not bound', () => {
  it.each<[string, Partial<JwtBearerOptions>, number]>([
    ['passes where bound ones are allowed', { dpop: 'allowed', mtls: 'allowed' }, 200],
    ['does not pass where DPoP is required', { dpop: 'required' }, 401],
    ['does not pass where a certificate is required', { mtls: 'required' }, 401],
    ['does not pass with the profile fapi2', { profile: 'fapi2' }, 401],
  ])('%s', async (_what, options, status) => {
    const configuration = await discover('anyone');
    const form = { resource: JWT, scope: 'orders:read' };
    const { access_token: token } = await client.clientCredentialsGrant(configuration, form);
    const { url } = await listenTo(forJwts(options));
    expect((await fetch(url, { headers: { Authorization: `Bearer ${token}` } })).status).toBe(status);
  });
});
