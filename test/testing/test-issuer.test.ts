import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import express, { type Express } from 'express';
import {
  getAuth,
  introspectionBearer,
  jwtBearer,
  type JwtBearerOptions,
  requireMachine,
  requireScopes,
} from 'express-resource-server';
import {
  createTestIssuer,
  type InvalidTokenKind,
  type ProofOptions,
  type TestIssuer,
} from 'express-resource-server/testing';
import supertest from 'supertest';

const KINDS: readonly InvalidTokenKind[] = [
  'expired',
  'notYetValid',
  'wrongAudience',
  'wrongIssuer',
  'unknownKey',
  'wrongSignature',
  'algNone',
  'idToken',
  'opaque',
];

let issuer: TestIssuer;

afterEach(() => issuer.close());

function api(options: Partial<JwtBearerOptions> = {}): Express {
  const app = express();
  const { url, audience } = issuer;
  app.use(jwtBearer({ issuer: url, audience, fetch: (target, init) => issuer.fetch(target, init), ...options }));
  app.get('/', (req, res) => {
    const { clientId, subject, scopes, isMachine } = getAuth(req);
    res.json({ clientId, subject, scopes, isMachine });
  });
  app.get('/orders', requireScopes('orders:read'), requireMachine(), (_req, res) => {
    res.json([]);
  });
  return app;
}

async function status(app: Express, token: string, path = '/'): Promise<number> {
  return (await supertest(app).get(path).set('Authorization', `Bearer ${token}`)).status;
}

describe.each([
  ['on a loopback port', true],
  ['without a socket', false],
])('createTestIssuer() %s', (_, listen) => {
  beforeEach(async () => {
    issuer = await createTestIssuer({ listen });
  });

  const options = (): Partial<JwtBearerOptions> => (listen ? { fetch: undefined } : {});

  it('issues tokens that the API accepts', async () => {
    const app = api(options());
    const token = issuer.issue({ clientId: 'billing', scopes: ['orders:read', 'orders:write'] });
    const response = await supertest(app).get('/').set('Authorization', `Bearer ${token}`);
    expect(response.body).toEqual({
      clientId: 'billing',
      subject: 'billing',
      scopes: ['orders:read', 'orders:write'],
      isMachine: true,
    });
    expect(await status(app, token, '/orders')).toBe(200);
    expect(await status(app, issuer.issue(), '/orders')).toBe(403);
    expect(await status(app, issuer.issue({ subject: 'alice', scopes: ['orders:read'] }), '/orders')).toBe(403);
  });

  it.each(KINDS)('issues a token that the API rejects: %s', async (kind) => {
    const app = api(options());
    expect(await status(app, issuer.issueInvalid(kind))).toBe(401);
    expect(await status(app, issuer.issue())).toBe(200);
  });

  it('records the requests that it received', async () => {
    const app = api(options());
    await status(app, issuer.issue());
    await status(app, issuer.issue());
    expect(issuer.requests).toEqual([
      { method: 'GET', path: '/.well-known/openid-configuration', form: {} },
      { method: 'GET', path: '/jwks', form: {} },
    ]);
  });

  it('rotates its keys: the API fetches the new one, and the old one stays valid', async () => {
    const app = api(options());
    const before = issuer.issue();
    expect(await status(app, before)).toBe(200);
    await issuer.rotateKeys();
    expect(await status(app, issuer.issue())).toBe(200);
    expect(await status(app, before)).toBe(200);
  });

  it('can remove the old key in a rotation', async () => {
    const app = api(options());
    const before = issuer.issue();
    await issuer.rotateKeys({ dropOld: true });
    expect(await status(app, issuer.issue())).toBe(200);
    expect(await status(app, before)).toBe(401);
  });

  it('goes down and comes back', async () => {
    await issuer.goDown();
    const app = api({ ...options(), clock: () => Date.now() / 1000 });
    expect(await status(app, issuer.issue())).toBe(503);
    await issuer.comeBack();
    expect(await status(api(options()), issuer.issue())).toBe(200);
  });

  it('has the same URL and keys when it comes back', async () => {
    const [url, token] = [issuer.url, issuer.issue()];
    await issuer.goDown();
    await issuer.comeBack();
    expect(issuer.url).toBe(url);
    expect(await status(api(options()), token)).toBe(200);
  });

  it('is slow until it comes back', async () => {
    issuer.slow(30);
    expect(await status(api({ ...options(), keys: { timeout: 0.1 } }), issuer.issue())).toBe(503);
    await issuer.comeBack();
    expect(await status(api(options()), issuer.issue())).toBe(200);
  });

  it('introspects opaque tokens and JWTs until they are revoked', async () => {
    const app = express();
    const { url, audience, clientId, clientSecret } = issuer;
    const fetch = options().fetch === undefined && listen ? {} : { fetch: issuer.fetch };
    app.use(introspectionBearer({ issuer: url, audience, clientId, clientSecret, cache: false, ...fetch }));
    app.get('/', (req, res) => {
      res.json(getAuth(req).scopes);
    });
    for (const opaque of [true, false]) {
      const token = issuer.issue({ opaque, scopes: ['a', 'b'] });
      const response = await supertest(app).get('/').set('Authorization', `Bearer ${token}`);
      expect([response.status, response.body]).toEqual([200, ['a', 'b']]);
      issuer.revoke(token);
      expect(await status(app, token)).toBe(401);
    }
    for (const kind of KINDS) expect(await status(app, issuer.issueInvalid(kind))).toBe(401);
    expect(await status(app, issuer.issue({ opaque: true, expiresIn: -1 }))).toBe(401);
  });

  it('creates proofs for DPoP-bound tokens', async () => {
    const baseUrl = 'https://api.example.com';
    const app = api({ ...options(), dpop: 'allowed', baseUrl });
    const token = issuer.issue({ dpop: true });
    const send = async (proof: string): Promise<number> => {
      const sent = supertest(app).get('/?a=b').set('Authorization', `DPoP ${token}`);
      return (await sent.set('DPoP', proof)).status;
    };
    expect(await send(issuer.proof({ method: 'GET', url: `${baseUrl}/?a=b`, token }))).toBe(200);
    expect(await send(issuer.proof({ method: 'POST', url: `${baseUrl}/`, token }))).toBe(401);
    expect(await send(issuer.proof({ url: `${baseUrl}/other`, token }))).toBe(401);
    expect(await send(issuer.proof({ url: `${baseUrl}/`, token: issuer.issue({ dpop: true }) }))).toBe(401);
    expect(await status(app, token)).toBe(401);
  });
});

describe('createTestIssuer()', () => {
  it.each(['ES256', 'RS256', 'PS256', 'EdDSA'] as const)('signs with %s', async (algorithm) => {
    issuer = await createTestIssuer({ listen: false, algorithm });
    const app = api();
    expect(await status(app, issuer.issue())).toBe(200);
    expect(await status(app, issuer.issueInvalid('wrongSignature'))).toBe(401);
  });

  it('uses a clock, which tests can control', async () => {
    let now = 1_800_000_000;
    const clock = (): number => now;
    issuer = await createTestIssuer({ listen: false, clock });
    const app = api({ clock });
    const token = issuer.issue({ expiresIn: 60 });
    expect(await status(app, token)).toBe(200);
    now += 120;
    expect(await status(app, token)).toBe(401);
  });

  it('can change claims and header', async () => {
    issuer = await createTestIssuer({ listen: false, audience: 'urn:api' });
    const token = issuer.issue({
      audience: ['urn:a', 'urn:api'],
      claims: { jti: undefined, tenant: 1 },
      header: { x: 1 },
    });
    const [header, claims] = token.split('.').slice(0, 2).map(decode);
    expect(header).toMatchObject({ alg: 'ES256', typ: 'at+jwt', x: 1 });
    expect(claims).toMatchObject({ aud: ['urn:a', 'urn:api'], tenant: 1 });
    expect(claims).not.toHaveProperty('jti');
    expect(await status(api(), token)).toBe(200);
  });

  it('stops with await using', async () => {
    issuer = await createTestIssuer();
    await issuer[Symbol.asyncDispose]();
    await expect(fetch(issuer.jwksUri)).rejects.toThrow('fetch failed');
  });

  it('rejects the introspection of other clients', async () => {
    issuer = await createTestIssuer({ listen: false });
    const headers = { Authorization: `Basic ${btoa(`${issuer.clientId}:wrong`)}` };
    const body = new URLSearchParams({ token: issuer.issue() });
    const response = await issuer.fetch(issuer.introspectionEndpoint, { method: 'POST', headers, body });
    expect([response.status, await response.json()]).toEqual([401, { error: 'invalid_client' }]);
  });

  it('has a fetch that reaches only this issuer', async () => {
    issuer = await createTestIssuer({ listen: false });
    await expect(issuer.fetch('https://auth.example.com/jwks')).rejects.toThrow('issuer.fetch reaches only');
    expect((await issuer.fetch(`${issuer.url}/other`)).status).toBe(404);
  });

  it('rejects unknown options', async () => {
    issuer = await createTestIssuer({ listen: false });
    await expect(createTestIssuer({ lisen: false } as object)).rejects.toThrow('Did you mean listen?');
    expect(() => issuer.issue({ scope: 'a' } as object)).toThrow('Did you mean scopes?');
    expect(() => issuer.issueInvalid('expired', { client: 'a' } as object)).toThrow('Did you mean clientId?');
    expect(() => issuer.proof({ uri: 'a', token: 'b' } as unknown as ProofOptions)).toThrow('Did you mean url?');
    expect(() => issuer.issueInvalid('old' as InvalidTokenKind)).toThrow('unknown kind "old"');
  });
});

function decode(segment: string): unknown {
  return JSON.parse(Buffer.from(segment, 'base64url').toString());
}
