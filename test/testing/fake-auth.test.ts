import { afterEach, describe, expect, it } from '@jest/globals';
import express, { type Express, type Request } from 'express';
import {
  ConfigurationError,
  getAuth,
  getOptionalAuth,
  type Middleware,
  requireClaim,
  requireClient,
  requireIssuer,
  requireMachine,
  requireScopes,
  requireThat,
  requireUser,
} from 'express-resource-server';
import { fakeAuth, type FakeAuthOptions } from 'express-resource-server/testing';
import supertest, { type Response } from 'supertest';

function api(options: FakeAuthOptions, ...gates: Middleware[]): Express {
  const app = express();
  app.use(fakeAuth(options));
  app.get('/', ...gates, (req: Request, res) => {
    const auth: unknown = getAuth(req);
    // The types of other packages declare `auth` differently.
    const property: unknown = Reflect.get(req, 'auth');
    res.json({ ...getAuth(req), isSame: auth === getOptionalAuth(req) && auth === property });
  });
  return app;
}

const get = async (options: FakeAuthOptions, ...gates: Middleware[]): Promise<Response> =>
  supertest(api(options, ...gates)).get('/');

describe('fakeAuth()', () => {
  const { NODE_ENV } = process.env;

  afterEach(() => {
    process.env.NODE_ENV = NODE_ENV;
  });

  it('authenticates every request as given', async () => {
    const response = await get({
      clientId: 'billing',
      scopes: ['orders:read'],
      audience: 'urn:api',
      issuer: 'https://auth.example.com',
      claims: { tenant: 'a', jti: undefined },
    });
    expect(response.body).toMatchObject({
      issuer: 'https://auth.example.com',
      clientId: 'billing',
      subject: 'billing',
      scopes: ['orders:read'],
      audience: ['urn:api'],
      isMachine: true,
      isUser: false,
      format: 'jwt',
      scheme: 'Bearer',
      claims: { tenant: 'a', iss: 'https://auth.example.com', scope: 'orders:read' },
      isSame: true,
    });
    const { issuedAt, expiresAt, claims } = response.body as { issuedAt: number; expiresAt: number; claims: object };
    expect(expiresAt - issuedAt).toBe(300);
    expect(claims).not.toHaveProperty('jti');
  });

  it('has a default for each option', async () => {
    expect((await get({})).body).toMatchObject({ clientId: 'test-client', scopes: [], isMachine: true });
  });

  it('ignores the credentials of the request', async () => {
    for (const authorization of ['Bearer', 'Basic a', 'Bearer a.b.c']) {
      const response = await supertest(api({ clientId: 'billing' }))
        .get('/')
        .set('Authorization', authorization);
      expect(response.body).toMatchObject({ clientId: 'billing' });
    }
  });

  it.each<[string, FakeAuthOptions, Middleware, number]>([
    ['a scope that is given', { scopes: ['a', 'b'] }, requireScopes('a'), 200],
    ['a scope that is not given', { scopes: ['b'] }, requireScopes('a'), 403],
    ['a scope that includes it', { scopes: ['b'], scopeHierarchy: { b: ['a'] } }, requireScopes('a'), 200],
    ['the client', { clientId: 'billing' }, requireClient('billing'), 200],
    ['another client', {}, requireClient('billing'), 403],
    ['the issuer', { issuer: 'https://a.example.com' }, requireIssuer('https://a.example.com'), 200],
    ['a claim', { claims: { tenant: 'a' } }, requireClaim('tenant', 'a'), 200],
    ['a machine', {}, requireMachine(), 200],
    ['a machine, for a person', { subject: 'alice', isUser: true }, requireMachine(), 403],
    ['a person', { subject: 'alice', isUser: true }, requireUser(), 200],
    ['a person, for an unknown caller', { subject: 'alice' }, requireUser(), 403],
    ['a person, by its claims', { subject: 'alice', claims: { gty: 'password' } }, requireUser(), 200],
    ['a predicate', {}, requireThat((auth) => auth.subject === 'test-client'), 200],
  ])('passes the gates: one that requires %s', async (_, options, gate, status) => {
    expect((await get(options, gate)).status).toBe(status);
  });

  it('responds as the middleware that it replaces', async () => {
    const response = await get({ realm: 'orders', errors: 'problem' }, requireScopes('a'));
    expect(response.headers['www-authenticate']).toMatch(/^Bearer realm="orders", error="insufficient_scope"/);
    expect(response.headers['content-type']).toBe('application/problem+json');
    expect(response.body).toMatchObject({ status: 403 });
  });

  it('sets another property of the request', async () => {
    const app = express();
    app.use(fakeAuth({ property: 'caller' }));
    app.get('/', (req, res) => {
      res.json([Reflect.get(req, 'caller') === getAuth(req), Reflect.get(req, 'auth')]);
    });
    expect((await supertest(app).get('/')).body).toEqual([true, null]);
  });

  it('gives each request an Auth of its own, which is frozen', async () => {
    const seen: unknown[] = [];
    const app = express();
    app.use(fakeAuth(), (req, res) => {
      seen.push(getAuth(req));
      res.end();
    });
    await supertest(app).get('/');
    await supertest(app).get('/');
    expect(seen[0]).not.toBe(seen[1]);
    expect(seen.every((auth) => Object.isFrozen(auth))).toBe(true);
  });

  it.each([undefined, 'production', 'development', 'TEST', ''])('throws unless NODE_ENV is test: %p', (environment) => {
    if (environment === undefined) delete process.env.NODE_ENV;
    else process.env.NODE_ENV = environment;
    expect(() => fakeAuth()).toThrow(ConfigurationError);
    expect(() => fakeAuth()).toThrow(/NODE_ENV to be "test", because it authenticates every request/);
  });

  it.each<[object, RegExp]>([
    [{ scope: 'a' }, /Did you mean scopes\?/],
    [{ scopes: 'a b' }, /fakeAuth: scopes: expected an array of scopes/],
    [{ scopes: ['a b'] }, /fakeAuth: scopes/],
    [{ audience: 1 }, /fakeAuth: audience/],
    [{ claims: [] }, /fakeAuth: claims/],
    [{ isMachine: 'yes' }, /fakeAuth: isMachine/],
    [{ property: 'body' }, /fakeAuth: property/],
  ])('rejects the options %p', (options, message) => {
    expect(() => fakeAuth(options)).toThrow(message);
  });

  it('says how to mount it', () => {
    const app = express();
    // @ts-expect-error: it must be called
    app.use(fakeAuth);
    return supertest(app)
      .get('/')
      .expect(500, /Call it: app\.use\(fakeAuth/);
  });
});
