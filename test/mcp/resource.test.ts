import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express, { type Express } from 'express';
import {
  ConfigurationError,
  getAuth,
  introspectionVerifier,
  jwtVerifier,
  requireScopes,
  trustedIssuers,
} from 'express-resource-server';
import { mcpResource, type McpResourceOptions } from 'express-resource-server/mcp';
import supertest from 'supertest';
import { TestIssuer } from '../../lib/testing/issuer.js';
import { challengesOf } from '../support/helpers.js';

const RESOURCE = 'https://mcp.example.com/mcp';
const METADATA = '/.well-known/oauth-protected-resource/mcp';
let issuer: TestIssuer;

beforeAll(async () => {
  issuer = await TestIssuer.start();
});

afterAll(() => issuer.close());

function serve(options: Partial<McpResourceOptions> = {}): Express {
  const { metadata, bearer } = mcpResource({ resource: RESOURCE, issuer: issuer.url, ...options });
  return express()
    .use(metadata)
    .post('/mcp', bearer, (req, res) => {
      res.json({ auth: Reflect.get(req, 'auth') as unknown, subject: getAuth(req).subject });
    })
    .post('/admin', bearer, requireScopes('files:write'), (_req, res) => {
      res.json({});
    });
}

function post(app: Express, token?: string, path = '/mcp'): supertest.Test {
  const request = supertest(app).post(path);
  return token === undefined ? request : request.auth(token, { type: 'bearer' });
}

async function documentOf(app: Express, path = METADATA): Promise<unknown> {
  const { body } = (await supertest(app).get(path).expect(200)) as { body: unknown };
  return body;
}

describe('the metadata of mcpResource', () => {
  it('follows from the resource, the issuer and the scopes', async () => {
    expect(await documentOf(serve({ scopes: ['files:read'], resourceName: 'Files' }))).toEqual({
      resource: RESOURCE,
      authorization_servers: [issuer.url],
      scopes_supported: ['files:read'],
      bearer_methods_supported: ['header'],
      resource_name: 'Files',
    });
  });

  it('has the DPoP members if DPoP is required', async () => {
    expect(await documentOf(serve({ dpop: 'required' }))).toMatchObject({ dpop_bound_access_tokens_required: true });
  });

  it('has the names that clients request', async () => {
    const options = { scopes: ['files.read'], scopeNames: { 'files.read': 'api://files/files.read' } };
    expect(await documentOf(serve(options))).toMatchObject({ scopes_supported: ['api://files/files.read'] });
  });

  it('may have other scopes than the first challenge', async () => {
    const app = serve({ scopes: ['files:read'], scopesSupported: ['files:read', 'files:write'] });
    expect(await documentOf(app)).toMatchObject({ scopes_supported: ['files:read', 'files:write'] });
    expect(challengesOf(await post(app))[0]?.parameters.scope).toBe('files:read');
  });

  it.each(['https://mcp.example.com', new URL('https://mcp.example.com')])(
    'of a bare origin has no slash: %p',
    async (resource) => {
      const document = await documentOf(serve({ resource }), '/.well-known/oauth-protected-resource');
      expect(document).toMatchObject({ resource: 'https://mcp.example.com' });
    },
  );
});

describe('the bearer middleware of mcpResource', () => {
  it('names the metadata and the scopes in the first challenge', async () => {
    const response = await post(serve({ scopes: ['files:read', 'files:list'] }));
    expect(response.status).toBe(401);
    expect(challengesOf(response)).toEqual([
      {
        scheme: 'Bearer',
        parameters: { scope: 'files:read files:list', resource_metadata: `https://mcp.example.com${METADATA}` },
      },
    ]);
  });

  it.each([
    ['the resource', RESOURCE, 200],
    ['the resource in other case', 'HTTPS://MCP.example.com/mcp', 200],
    ['one of several', ['https://other.example.com', RESOURCE], 200],
    ['the resource with a slash', `${RESOURCE}/`, 401],
    ['the origin only', 'https://mcp.example.com', 401],
    ['another resource', 'https://other.example.com/mcp', 401],
    ['none', undefined, 401],
  ])('accepts only tokens for the resource: %s', async (_, aud, status) => {
    expect((await post(serve(), await issuer.issue({ aud }))).status).toBe(status);
  });

  it('accepts tokens for a bare origin with and without its slash', async () => {
    const app = serve({ resource: 'https://mcp.example.com' });
    for (const aud of ['https://mcp.example.com', 'https://mcp.example.com/']) {
      expect((await post(app, await issuer.issue({ aud }))).status).toBe(200);
    }
  });

  it('accepts the audience that the options name instead', async () => {
    const app = serve({ audience: 'api://files' });
    expect((await post(app, await issuer.issue({ aud: 'api://files' }))).status).toBe(200);
    expect((await post(app, await issuer.issue({ aud: RESOURCE }))).status).toBe(401);
  });

  it('sets the AuthInfo of the SDK, and getAuth still works', async () => {
    const app = serve({ scopeHierarchy: { 'files:write': ['files:read'] } });
    const { body } = (await post(app, await issuer.issue({ aud: RESOURCE, scope: 'files:write' }))) as {
      body: Record<string, unknown>;
    };
    expect(body).toMatchObject({
      auth: { clientId: 'client-1', scopes: ['files:write', 'files:read'], resource: RESOURCE },
      subject: 'client-1',
    });
  });

  it('works with gates, whose challenge has the metadata', async () => {
    const app = serve({ scopeHierarchy: { 'files:admin': ['files:write'] } });
    const tokens = await Promise.all(
      ['files:admin', 'files:read'].map((scope) => issuer.issue({ aud: RESOURCE, scope })),
    );
    expect((await post(app, tokens[0], '/admin')).status).toBe(200);
    const rejected = await post(app, tokens[1], '/admin');
    expect(rejected.status).toBe(403);
    expect(challengesOf(rejected)[0]?.parameters).toMatchObject({
      error: 'insufficient_scope',
      scope: 'files:write',
      resource_metadata: `https://mcp.example.com${METADATA}`,
    });
  });

  it('accepts requests without a token if they are optional, without AuthInfo', async () => {
    const { bearer } = mcpResource({ resource: RESOURCE, issuer: issuer.url, optional: true });
    const app = express().post('/mcp', bearer, (req, res) => {
      res.json({ auth: Reflect.get(req, 'auth') as unknown });
    });
    expect((await post(app)).body).toEqual({});
    expect((await post(app, 'invalid')).status).toBe(401);
  });

  it('rejects while the issuer is unavailable with 503, never 401', async () => {
    const down = await TestIssuer.start();
    const token = await down.issue({ aud: RESOURCE });
    await down.close();
    const response = await post(serve({ issuer: down.url }), token);
    expect([response.status, response.headers['www-authenticate']]).toEqual([503, undefined]);
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('passes an error to the error handler with errors: next', async () => {
    const app = serve({ errors: 'next' });
    const errors: unknown[] = [];
    app.use(((error, _req, res, _next) => {
      errors.push(error);
      res.status(418).end();
    }) as express.ErrorRequestHandler);
    expect((await post(app)).status).toBe(418);
    expect(errors).toHaveLength(1);
  });
});

describe('a verifier in the options of mcpResource', () => {
  const introspecting = (): ReturnType<typeof introspectionVerifier> =>
    introspectionVerifier({
      ...{ issuer: issuer.url, introspectionEndpoint: `${issuer.url}/introspect`, audience: new URL(RESOURCE) },
      ...{ clientId: 'mcp', clientSecret: 'secret' },
      fetch: () => Promise.resolve(Response.json({ active: true, client_id: 'c', aud: RESOURCE })),
    });

  it('may be for opaque tokens', async () => {
    const app = serve({ issuer: undefined, verifier: introspecting() });
    expect((await post(app, 'opaque')).status).toBe(200);
    expect(await documentOf(app)).toMatchObject({ authorization_servers: [issuer.url] });
  });

  it('may be for several issuers', async () => {
    const other = await TestIssuer.start();
    const verifiers = [issuer, other].map(({ url }) => jwtVerifier({ issuer: url, audience: new URL(RESOURCE) }));
    const app = serve({ issuer: undefined, verifier: trustedIssuers(verifiers) });
    expect((await post(app, await other.issue({ aud: RESOURCE }))).status).toBe(200);
    expect(await documentOf(app)).toMatchObject({ authorization_servers: [issuer.url, other.url] });
    await other.close();
  });

  it('has its own options', () => {
    const verifier = introspecting();
    for (const option of [{ issuer: issuer.url }, { audience: RESOURCE }, { clockTolerance: 1 }]) {
      expect(() => mcpResource({ resource: RESOURCE, verifier, ...option })).toThrow(ConfigurationError);
    }
  });
});

describe('a mistake in the options of mcpResource', () => {
  const good = { resource: RESOURCE, issuer: 'https://auth.example.com', keys: { prefetch: false } };

  it.each<[string, Record<string, unknown>, string]>([
    ['no resource', { ...good, resource: undefined }, 'mcpResource: resource'],
    ['a fragment', { ...good, resource: `${RESOURCE}#x` }, 'mcpResource: resource'],
    ['http:', { ...good, resource: 'http://mcp.example.com' }, 'mcpResource: resource'],
    ['no issuer', { resource: RESOURCE }, 'mcpResource: issuer'],
    ['offline_access', { ...good, scopes: ['offline_access'] }, 'mcpResource: scopes'],
    ['scopes in one string', { ...good, scopes: 'a b' }, 'mcpResource: scopes'],
    ['a cycle', { ...good, scopeHierarchy: { a: ['b'], b: ['a'] } }, 'mcpResource: scopeHierarchy'],
    ['a verifier without verify', { resource: RESOURCE, verifier: {} }, 'mcpResource: verifier'],
    ['an option of the metadata', { ...good, resourceName: 1 }, 'mcpResource: resourceName'],
    ['an option of bearer', { ...good, realm: 1 }, 'mcpResource: realm'],
    ['an option of the verifier', { ...good, clockTolerance: -1 }, 'mcpResource: clockTolerance'],
    ['the address of the metadata', { ...good, resourceMetadata: RESOURCE }, 'mcpResource: "resourceMetadata"'],
    ['an unknown name', { ...good, scope: ['a'] }, 'mcpResource: "scope"'],
  ])('is found: %s', (_, options, option) => {
    const make = (): unknown => Reflect.apply(mcpResource, undefined, [options]);
    expect(make).toThrow(ConfigurationError);
    expect(make).toThrow(`${option}: expected `);
  });

  it('is a request instead of options', async () => {
    let thrown: unknown;
    const app = express().use((req, res) => {
      try {
        Reflect.apply(mcpResource, undefined, [req]);
      } catch (error) {
        thrown = error;
      }
      res.end();
    });
    await supertest(app).get('/');
    expect(thrown).toBeInstanceOf(ConfigurationError);
  });
});
