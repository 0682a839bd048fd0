import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { InsufficientScopeError } from '@modelcontextprotocol/client';
import express, { type RequestHandler } from 'express';
import { ConfigurationError, jwtBearer, protectedResourceMetadata } from 'express-resource-server';
import {
  mcpAuthInfo,
  type McpAuthInfo,
  mcpResource,
  type McpResourceOptions,
  mcpScopes,
  mcpToolScopes,
} from 'express-resource-server/mcp';
import supertest from 'supertest';
import { TestIssuer } from '../../lib/testing/issuer.js';
import { challengesOf, listen } from '../support/helpers.js';
import { callTool, connectWith, serveMcp } from '../support/mcp-server.js';

const RESOURCE = 'https://mcp.example.com/mcp';
const METADATA = 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp';
const SENTENCE = 'The access token does not have the required scope.';
let issuer: TestIssuer;

beforeAll(async () => {
  issuer = await TestIssuer.start();
});

afterAll(() => issuer.close());

function bearerWith(options: Partial<McpResourceOptions> = {}): RequestHandler {
  return mcpResource({ resource: RESOURCE, issuer: issuer.url, ...options }).bearer;
}

/** The `AuthInfo` of a request with these scopes. */
async function authInfoOf(scope: string, options?: Partial<McpResourceOptions>): Promise<McpAuthInfo> {
  let authInfo: unknown;
  const app = express().use(bearerWith(options), (req, res) => {
    authInfo = Reflect.get(req, 'auth');
    res.end();
  });
  await supertest(app)
    .get('/')
    .auth(await issuer.issue({ aud: RESOURCE, scope }), { type: 'bearer' })
    .expect(200);
  return authInfo as McpAuthInfo;
}

const HIERARCHY = { 'files:admin': ['files:write', 'files:list'], 'files:write': ['files:read'] };

describe('a tool with mcpScopes', () => {
  const call = async (scope: string): Promise<string> => {
    const port = await listen(serveMcp(bearerWith({ scopeHierarchy: HIERARCHY })));
    const token = await issuer.issue({ aud: RESOURCE, scope });
    return callTool(await connectWith(`http://127.0.0.1:${port}/mcp`, token), 'write_file', { name: 'a' });
  };

  it.each(['files:write', 'files:admin'])('runs for a token with %s', async (scope) => {
    expect(await call(scope)).toBe('wrote a');
  });

  it('causes the step-up challenge for another token', async () => {
    const error: unknown = await call('files:read').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InsufficientScopeError);
    expect(error).toMatchObject({
      requiredScope: 'files:write',
      resourceMetadataUrl: new URL(METADATA),
      errorDescription: SENTENCE,
    });
  });
});

describe('mcpScopes', () => {
  it.each<[string, string, [string, ...string[]], string[] | undefined]>([
    ['all of them', 'files:read files:list', ['files:read', 'files:list'], undefined],
    ['a scope that includes them', 'files:admin', ['files:read', 'files:list'], undefined],
    ['one of two', 'files:read', ['files:read', 'files:list'], ['files:read', 'files:list']],
    ['none', '', ['files:write', 'files:read'], ['files:write']],
    ['a scope with the same beginning', 'files:write2', ['files:write'], ['files:write']],
  ])('decides by the hierarchy for a token with %s', async (_, granted, needed, expected) => {
    const authInfo = await authInfoOf(granted, { scopeHierarchy: HIERARCHY });
    const [first, ...more] = needed;
    const challenge = expected && { scopes: expected, errorDescription: SENTENCE };
    expect(mcpScopes(first, ...more)({ authInfo })).toEqual(challenge);
  });

  it('names the scopes that clients request', async () => {
    const scopeNames = { 'files.write': 'api://files/files.write' };
    const authInfo = await authInfoOf('files.read', { scopeNames });
    expect(mcpScopes('files.write')({ authInfo })?.scopes).toEqual(['api://files/files.write']);
  });

  it('compares exactly with an AuthInfo of another function', () => {
    const authInfo = { token: 't', clientId: 'c', scopes: ['files:admin'] };
    expect(mcpScopes('files:admin')({ authInfo })).toBeUndefined();
    expect(mcpScopes('files:write')({ authInfo })?.scopes).toEqual(['files:write']);
  });

  it('does not allow a request without authentication', () => {
    expect(() => mcpScopes('a')({})).toThrow(ConfigurationError);
  });

  it.each([[], [''], ['a b'], ['a,b'], [1], [undefined], [['a']], ['a', 'b"']])('may not be given %p', (...given) => {
    expect(() => {
      Reflect.apply(mcpScopes, undefined, given);
    }).toThrow(ConfigurationError);
  });
});

describe('mcpToolScopes', () => {
  const gate = mcpToolScopes({ write_file: ['files:write'], list_files: ['files:list', 'files:read'] });
  const call = (name: unknown): object => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } });
  const send = async (body: object, scope = 'files:read', bearer = bearerWith({ scopeHierarchy: HIERARCHY })) => {
    const app = express().post('/mcp', bearer, express.json(), gate, (_req, res) => {
      res.json({});
    });
    const token = await issuer.issue({ aud: RESOURCE, scope });
    return supertest(app).post('/mcp').auth(token, { type: 'bearer' }).send(body);
  };

  it.each<[string, object]>([
    ['a tool without scopes', call('whoami')],
    ['a tool that is named like a member of objects', call('constructor')],
    ['a tool without a name', call(undefined)],
    ['another method', { jsonrpc: '2.0', id: 1, method: 'prompts/get', params: { name: 'write_file' } }],
    ['a batch of tools without scopes', [call('whoami'), null, 1]],
  ])('allows %s', async (_, body) => {
    expect((await send(body)).status).toBe(200);
  });

  it.each<[string, object, string]>([
    ['a tool', call('write_file'), 'files:write'],
    ['a tool with several', call('list_files'), 'files:list files:read'],
    [
      'a batch, with the scopes of all its tools',
      [call('whoami'), call('write_file'), call('list_files')],
      'files:write files:list',
    ],
  ])('rejects %s with the step-up challenge', async (_, body, scope) => {
    const response = await send(body);
    expect(response.status).toBe(403);
    expect(challengesOf(response)).toEqual([
      {
        scheme: 'Bearer',
        parameters: {
          error: 'insufficient_scope',
          error_description: SENTENCE,
          scope,
          resource_metadata: METADATA,
        },
      },
    ]);
  });

  it('allows a token with a scope that includes the needed one', async () => {
    expect((await send([call('write_file'), call('list_files')], 'files:admin')).status).toBe(200);
  });

  it('works with every bearer middleware', async () => {
    const bearer = jwtBearer({ issuer: issuer.url, audience: RESOURCE });
    expect((await send(call('write_file'), 'files:write', bearer)).status).toBe(200);
    expect((await send(call('write_file'), 'files:read', bearer)).status).toBe(403);
  });

  it('is a mistake before the body is parsed', async () => {
    const errors: unknown[] = [];
    const app = express().post('/mcp', bearerWith(), gate);
    app.use(((error, _req, res, _next) => {
      errors.push(error);
      res.status(500).end();
    }) as express.ErrorRequestHandler);
    const token = await issuer.issue({ aud: RESOURCE });
    await supertest(app).post('/mcp').auth(token, { type: 'bearer' }).send(call('write_file')).expect(500);
    expect(errors).toEqual([expect.any(ConfigurationError)]);
  });

  it.each(['write_file', 'whoami'])('names itself if no middleware before it authenticates: %s', async (tool) => {
    const errors: unknown[] = [];
    const app = express().post('/mcp', express.json(), gate, bearerWith());
    app.use(((error, _req, res, _next) => {
      errors.push(error);
      res.sendStatus(500);
    }) as express.ErrorRequestHandler);
    await supertest(app).post('/mcp').send(call(tool)).expect(500);
    expect(errors).toEqual([expect.objectContaining({ option: 'mcpToolScopes', reason: 'not_authenticated' })]);
  });

  it.each(['GET', 'DELETE'])('ignores %s requests, which call no tool', async (method) => {
    const app = express().all('/mcp', bearerWith(), mcpToolScopes({ a: ['b'] }), (_req, res) => {
      res.json({});
    });
    const token = await issuer.issue({ aud: RESOURCE });
    const request = method === 'GET' ? supertest(app).get('/mcp') : supertest(app).delete('/mcp');
    expect((await request.auth(token, { type: 'bearer' })).status).toBe(200);
  });

  it.each([undefined, {}, [], 'a', { a: [] }, { a: 'b' }, { a: ['b c'] }, { a: [''] }])(
    'may not be given %p',
    (given) => {
      expect(() => {
        Reflect.apply(mcpToolScopes, undefined, [given]);
      }).toThrow(ConfigurationError);
    },
  );
});

describe('mcpAuthInfo', () => {
  it('has every member that the SDK reads', async () => {
    const authInfo = await authInfoOf('files:write', { scopeHierarchy: HIERARCHY });
    expect(authInfo).toEqual({
      token: expect.stringMatching(/^eyJ/),
      clientId: 'client-1',
      scopes: ['files:write', 'files:read'],
      expiresAt: expect.any(Number),
      resource: new URL(RESOURCE),
      resourceMetadataUrl: METADATA,
      extra: expect.objectContaining({
        issuer: issuer.url,
        subject: 'client-1',
        isMachine: true,
        scheme: 'Bearer',
        grantedScopes: ['files:write'],
      }),
    });
  });

  it('is another object for each request, which tools may change', async () => {
    const [first, second] = [await authInfoOf('b a'), await authInfoOf('b a')];
    first.scopes.sort();
    first.scopes.push('c');
    expect(second.scopes).toEqual(['b', 'a']);
    expect(first.resource).not.toBe(second.resource);
  });

  const authInfoBehind = async (bearer: RequestHandler, options: object, claims: object): Promise<unknown> => {
    let authInfo: unknown;
    const app = express().use(bearer, mcpAuthInfo(options), (req, res) => {
      authInfo = Reflect.get(req, 'auth');
      res.end();
    });
    const token = await issuer.issue({ aud: RESOURCE, ...claims });
    await supertest(app).get('/').auth(token, { type: 'bearer' }).expect(200);
    return authInfo;
  };

  it('has only what is known', async () => {
    const bearer = jwtBearer({ issuer: issuer.url, audience: RESOURCE, property: 'caller' });
    const authInfo = await authInfoBehind(bearer, {}, { client_id: undefined });
    expect(authInfo).toMatchObject({ clientId: '', scopes: [] });
    expect(authInfo).not.toHaveProperty('resource');
    expect(authInfo).not.toHaveProperty('resourceMetadataUrl');
  });

  it.each<[string, unknown]>([
    ['a URL', new URL(METADATA)],
    ['a text', METADATA],
    [
      'the middleware',
      protectedResourceMetadata({ resource: RESOURCE, authorizationServers: ['https://auth.example.com'] }),
    ],
  ])('takes the address of the metadata from %s', async (_, resourceMetadata) => {
    const bearer = jwtBearer({ issuer: issuer.url, audience: RESOURCE });
    const authInfo = await authInfoBehind(bearer, { resource: new URL(RESOURCE), resourceMetadata }, {});
    expect(authInfo).toMatchObject({ resource: new URL(RESOURCE), resourceMetadataUrl: METADATA });
  });

  it('is a mistake without a bearer middleware before it', async () => {
    const errors: unknown[] = [];
    const app = express().use(mcpAuthInfo());
    app.use(((error, _req, res, _next) => {
      errors.push(error);
      res.status(500).end();
    }) as express.ErrorRequestHandler);
    await supertest(app).get('/').expect(500);
    expect(errors).toEqual([expect.any(ConfigurationError)]);
  });

  it.each([{ resource: 'http://mcp.example.com' }, { resourceMetadata: 1 }, { scopes: [] }])(
    'may not be given %p',
    (given) => {
      expect(() => {
        Reflect.apply(mcpAuthInfo, undefined, [given]);
      }).toThrow(ConfigurationError);
    },
  );
});
