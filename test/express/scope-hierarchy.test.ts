import { describe, expect, it } from '@jest/globals';
import express from 'express';
import fc from 'fast-check';
import supertest from 'supertest';
import {
  bearer,
  type BearerOptions,
  ConfigurationError,
  getAuth,
  jwtBearer,
  type Middleware,
  protectedResourceMetadata,
  requireAnyScope,
  requireClient,
  requireScopes,
} from '../../lib/index.js';
import { ScopeHierarchy } from '../../lib/express/scope-hierarchy.js';
import { challengesOf, get, serve, startIssuer } from '../support/helpers.js';

const scopeHierarchy = {
  'files:admin': ['files:write', 'files:share'],
  'files:write': ['files:read'],
} as const;

async function respond(
  scope: string,
  options: BearerOptions,
  ...gates: Middleware[]
): Promise<{ status: number; scope: string | undefined; scopes: unknown }> {
  const issuer = await startIssuer();
  const app = serve(jwtBearer({ issuer: issuer.url, audience: issuer.audience, ...options }), ...gates);
  const response = await get(app, await issuer.issue({ scope }));
  const needed = response.status === 200 ? undefined : challengesOf(response)[0]?.parameters.scope;
  return { status: response.status, scope: needed, scopes: (response.body as { scopes?: unknown }).scopes };
}

describe('scopeHierarchy', () => {
  it.each([
    ['files:read', requireScopes('files:read'), 200],
    ['files:write', requireScopes('files:read'), 200],
    ['files:admin', requireScopes('files:read'), 200],
    ['files:admin', requireScopes('files:read', 'files:share'), 200],
    ['files:write', requireScopes('files:read', 'files:share'), 403],
    ['files:read', requireScopes('files:write'), 403],
    ['files:admin', requireScopes('orders:read'), 403],
    ['files:admin', requireAnyScope('orders:read', 'files:read'), 200],
    ['files:read', requireAnyScope('orders:read', 'files:write'), 403],
    ['constructor', requireScopes('files:read'), 403],
  ])('applies to a token with %s', async (scope, gate, status) => {
    expect((await respond(scope, { scopeHierarchy }, gate)).status).toBe(status);
  });

  it('does not change the scopes that a handler reads', async () => {
    const { scopes } = await respond('files:admin', { scopeHierarchy }, requireScopes('files:read'));
    expect(scopes).toEqual(['files:admin']);
  });

  it.each([
    [requireScopes('files:read', 'files:write'), 'files:write'],
    [requireScopes('files:read', 'files:share'), 'files:read files:share'],
    [requireScopes('files:admin', 'files:read', 'orders:read'), 'files:admin orders:read'],
    [requireAnyScope('files:admin', 'files:write', 'files:read'), 'files:read'],
    [requireAnyScope('files:admin', 'orders:read'), 'files:admin orders:read'],
  ])('makes the challenge name the narrowest scopes that are sufficient', async (gate, scope) => {
    expect(await respond('other', { scopeHierarchy }, gate)).toMatchObject({ status: 403, scope });
  });

  it('comes from the middleware before the gate', async () => {
    const issuer = await startIssuer();
    const options = { issuer: issuer.url, audience: issuer.audience };
    const app = express();
    const gate = requireScopes('files:read');
    app.get('/with', jwtBearer({ ...options, scopeHierarchy }), gate, (req, res) => {
      res.json(getAuth(req).scopes);
    });
    app.get('/without', jwtBearer(options), gate);
    const token = await issuer.issue({ scope: 'files:write' });
    const statuses = ['/with', '/without'].map(async (path) => {
      return (await supertest(app).get(path).auth(token, { type: 'bearer' })).status;
    });
    expect(await Promise.all(statuses)).toEqual([200, 403]);
  });

  it('includes exactly the reachable scopes', () => {
    const scope = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
    const table = fc.dictionary(scope, fc.uniqueArray(scope, { minLength: 1 }));
    fc.assert(
      fc.property(table, scope, scope, (given, granted, needed) => {
        // A scope includes only later ones, so there is no cycle.
        const entries = Object.entries(given).map(([from, to]) => [from, to.filter((each) => each > from)] as const);
        const clean = Object.fromEntries(entries.filter(([, to]) => to.length > 0));
        const reachable = new Set([granted]);
        for (const each of reachable) for (const next of clean[each] ?? []) reachable.add(next);
        const hierarchy = ScopeHierarchy.of(clean);
        expect(hierarchy.isGranted([granted], needed)).toBe(reachable.has(needed));
        expect(hierarchy.expand([granted]).sort()).toEqual([...reachable].sort());
      }),
    );
  });
});

describe('scopeNames', () => {
  const scopeNames = { 'files.read': 'api://app/files.read', 'files.write': 'api://app/files.write' };

  it('are in challenges', async () => {
    const options = { scopeNames, challengeScopes: ['files.read', 'openid'] };
    expect(await respond('x', options, requireScopes('files.write', 'other'))).toMatchObject({
      status: 403,
      scope: 'api://app/files.write other',
    });
    expect(await respond('x', options, requireClient('other'))).toMatchObject({ scope: 'api://app/files.read openid' });
    expect(await respond('files.write', options, requireScopes('files.write'))).toMatchObject({ status: 200 });
  });

  it('are in the metadata', async () => {
    const common = { authorizationServers: ['https://auth.example.com'], scopesSupported: ['files.read', 'openid'] };
    const middleware = bearer({ verify: () => Promise.reject(new Error()) }, { scopeNames });
    const app = express();
    app.use(protectedResourceMetadata({ ...common, resource: 'https://a.example.com/1', bearer: middleware }));
    app.use(protectedResourceMetadata({ ...common, resource: 'https://a.example.com/2', scopeNames }));
    for (const path of ['1', '2']) {
      const response = await supertest(app).get(`/.well-known/oauth-protected-resource/${path}`);
      expect(response.body).toMatchObject({ scopes_supported: ['api://app/files.read', 'openid'] });
    }
  });
});

describe('a ConfigurationError', () => {
  const make = (options: Record<string, unknown>) => (): unknown =>
    bearer({ verify: () => Promise.reject(new Error()) }, options);

  it.each([
    [{ a: ['a'] }, 'a → a'],
    [{ a: ['b'], b: ['a'] }, 'a → b → a'],
    [{ z: ['a'], a: ['b'], b: ['c'], c: ['d', 'a'] }, 'a → b → c → a'],
  ])('reports a cycle: %j', (hierarchy, cycle) => {
    expect(make({ scopeHierarchy: hierarchy })).toThrow(ConfigurationError);
    expect(make({ scopeHierarchy: hierarchy })).toThrow(`bearer: scopeHierarchy: expected no cycle, got ${cycle}.`);
  });

  it.each([null, [], 'a', { a: 'b' }, { a: [] }, { a: [1] }, { 'a b': ['c'] }, { a: ['b c'] }, { '': ['a'] }])(
    'rejects the hierarchy %j',
    (hierarchy) => {
      expect(make({ scopeHierarchy: hierarchy })).toThrow('bearer: scopeHierarchy: expected');
    },
  );

  it.each([null, [], 'a', { a: 1 }, { a: ['b'] }, { a: 'b c' }, { 'a b': 'c' }, { a: '' }])(
    'rejects the names %j',
    (names) => {
      expect(make({ scopeNames: names })).toThrow('bearer: scopeNames: expected');
    },
  );
});
