import { describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import {
  bearer,
  type BearerOptions,
  ConfigurationError,
  jwtBearer,
  type Middleware,
  protectedResourceMetadata,
  requireAnyScope,
  requireAuthentication,
  requireClient,
  requireScopes,
  requireThat,
} from '../../lib/index.js';
import { challengesOf, get, serve, serveWithErrorHandler, startIssuer } from '../support/helpers.js';
import { ALGS, dpopBearer, present, createScene } from '../support/dpop.js';

const scene = createScene();
const url = 'https://api.example.com/.well-known/oauth-protected-resource/mcp';
const metadata = protectedResourceMetadata({
  resource: 'https://api.example.com/mcp',
  authorizationServers: ['https://auth.example.com'],
});

/** The challenges to a request with this token, or without one. */
async function challengesTo(
  token: string | undefined,
  options: BearerOptions,
  ...gates: Middleware[]
): Promise<{ status: number; parameters: Readonly<Record<string, string>> | undefined }> {
  const { issuer } = scene;
  const app = serve(jwtBearer({ issuer: issuer.url, audience: issuer.audience, ...options }), ...gates);
  const response = await get(app, token);
  expect(challengesOf(response)).toHaveLength(1);
  return { status: response.status, parameters: challengesOf(response)[0]?.parameters };
}

describe('resourceMetadata', () => {
  it.each([
    ['a string', url],
    ['a URL', new URL(url)],
    ['the middleware', metadata],
  ])('as %s is in the challenge of a request without a token', async (_, resourceMetadata) => {
    expect(await challengesTo(undefined, { resourceMetadata })).toEqual({
      status: 401,
      parameters: { resource_metadata: url },
    });
  });

  it('is in every 401 and 403, also in those of gates', async () => {
    const options = { resourceMetadata: metadata, realm: 'mcp' };
    const token = await scene.issuer.issue({ scope: 'a' });
    const found = [
      await challengesTo('x', options),
      await challengesTo(token, options, requireScopes('b')),
      await challengesTo(token, options, requireClient('other')),
      await challengesTo(token, options, requireAuthentication({ maxAge: 1 })),
      await challengesTo(undefined, { ...options, optional: true }, requireScopes('b')),
    ];
    expect(found.map(({ status }) => status)).toEqual([401, 403, 403, 401, 401]);
    for (const { parameters } of found) expect(parameters).toMatchObject({ realm: 'mcp', resource_metadata: url });
    expect(found.map(({ parameters }) => parameters?.scope)).toEqual([undefined, 'b', undefined, undefined, 'b']);
  });

  it('is on the response and on the error that an error handler receives', async () => {
    const { issuer } = scene;
    const options = { issuer: issuer.url, audience: issuer.audience, resourceMetadata: metadata };
    const { app, errors } = serveWithErrorHandler(jwtBearer({ ...options, errors: 'next' }));
    const response = await supertest(app).get('/');
    expect(response.headers['www-authenticate']).toBe(`Bearer resource_metadata="${url}"`);
    expect(errors).toEqual([expect.objectContaining({ headers: expect.objectContaining({}) as unknown })]);
  });

  it('is absent from a failure of the authorization server', async () => {
    const issuer = await startIssuer();
    await issuer.goDown();
    const app = serve(
      jwtBearer({ issuer: issuer.url, audience: 'a', resourceMetadata: metadata, challengeScopes: ['a'] }),
    );
    const response = await get(app, await issuer.issue({ aud: 'a' }));
    expect([response.status, response.headers['www-authenticate']]).toEqual([503, undefined]);
  });
});

describe('challengeScopes', () => {
  it('are in every challenge, unless a gate has its own scopes', async () => {
    const options = { challengeScopes: ['a', 'b'] };
    const token = await scene.issuer.issue({ scope: 'a' });
    const found = [
      await challengesTo(undefined, options),
      await challengesTo('x', options),
      await challengesTo(token, options, requireClient('other')),
      await challengesTo(token, options, requireScopes('c')),
    ];
    expect(found.map(({ status, parameters }) => [status, parameters?.scope])).toEqual([
      [401, 'a b'],
      [401, 'a b'],
      [403, 'a b'],
      [403, 'c'],
    ]);
  });
});

describe('a gate behind optional', () => {
  it.each<[string, Middleware, string | undefined]>([
    ['requireScopes', requireScopes('c', 'd'), 'c d'],
    ['requireAnyScope', requireAnyScope('c', 'd'), 'c d'],
    ['requireThat with scopes', requireThat(() => true, { scopes: ['c'] }), 'c'],
    ['requireClient', requireClient('client-1'), 'a'],
  ])('names its own scopes to a caller without a token: %s', async (_, gate, scope) => {
    const { status, parameters } = await challengesTo(undefined, { challengeScopes: ['a'], optional: true }, gate);
    expect([status, parameters]).toEqual([401, { scope }]);
  });

  it('names the narrowest scope, as clients request it', async () => {
    const options = { optional: true, scopeHierarchy: { c: ['b'] }, scopeNames: { c: 'api://c' } };
    const { parameters } = await challengesTo(undefined, options, requireScopes('b', 'c'));
    expect(parameters).toEqual({ scope: 'api://c' });
  });
});

describe('the challenges of several schemes', () => {
  const options = { resourceMetadata: url, challengeScopes: ['a'] };

  it('have both parameters, and Bearer comes first', async () => {
    const response = await supertest(serve(dpopBearer(scene.issuer, 'allowed', options))).get('/');
    expect(challengesOf(response)).toEqual([
      { scheme: 'Bearer', parameters: { resource_metadata: url, scope: 'a' } },
      { scheme: 'DPoP', parameters: { resource_metadata: url, scope: 'a', algs: ALGS } },
    ]);
  });

  it('have the scopes of the gate, because clients read the first scope', async () => {
    const app = serve(dpopBearer(scene.issuer, 'allowed', options), requireScopes('files:write'));
    const response = await present(app, scene.token, await scene.prove());
    expect(response.status).toBe(403);
    expect(challengesOf(response)).toEqual([
      { scheme: 'Bearer', parameters: { resource_metadata: url, scope: 'files:write' } },
      {
        scheme: 'DPoP',
        parameters: expect.objectContaining({
          error: 'insufficient_scope',
          resource_metadata: url,
          scope: 'files:write',
        }) as unknown,
      },
    ]);
  });

  it('always have a parameter for Bearer', async () => {
    const app = serve(dpopBearer(scene.issuer, 'allowed'));
    for (const response of [await supertest(app).get('/'), await present(app, 'x', undefined, 'DPoP')]) {
      expect(response.headers['www-authenticate']).toMatch(/^Bearer realm="api", DPoP [a-z_]+="/);
    }
  });
});

describe('a ConfigurationError', () => {
  const verifier = { verify: () => Promise.reject(new Error()) };

  it.each([
    ['resourceMetadata', '/metadata'],
    ['resourceMetadata', 'http://api.example.com/metadata'],
    ['resourceMetadata', () => undefined],
    ['resourceMetadata', 'https://api.example.com/#a'],
    ['challengeScopes', []],
    ['challengeScopes', 'a'],
    ['challengeScopes', ['a b']],
    ['challengeScopes', ['offline_access']],
  ])('names the option %s: %p', (name, value) => {
    const make = (): unknown => bearer(verifier, { [name]: value });
    expect(make).toThrow(ConfigurationError);
    expect(make).toThrow(`bearer: ${name}: expected`);
  });
});
