import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  discoverOAuthProtectedResourceMetadata as discoverV2,
  extractWWWAuthenticateParams as readChallengeV2,
} from '@modelcontextprotocol/client';
import { getOAuthProtectedResourceMetadataUrl as metadataUrlV2 } from '@modelcontextprotocol/express';
import {
  discoverOAuthProtectedResourceMetadata as discoverV1,
  extractWWWAuthenticateParams as readChallengeV1,
} from '@modelcontextprotocol/sdk/client/auth.js';
import { getOAuthProtectedResourceMetadataUrl as metadataUrlV1 } from '@modelcontextprotocol/sdk/server/auth/router.js';
import type { RequestListener } from 'node:http';
import express, { type Express, type RequestHandler, Router } from 'express';
import { getAuth, requireClient, requireScopes } from 'express-resource-server';
import { type McpAuthInfo, mcpResource, type McpResourceOptions, mcpToolScopes } from 'express-resource-server/mcp';
import supertest from 'supertest';
import { TestIssuer } from '../../lib/testing/issuer.js';
import { DpopClient } from '../support/dpop.js';
import { challengesOf, getRaw, listen } from '../support/helpers.js';

const RESOURCE = 'https://mcp.example.com/mcp';
const METADATA = 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp';
let issuer: TestIssuer;

beforeAll(async () => {
  issuer = await TestIssuer.start();
});

afterAll(() => issuer.close());

const ok: RequestHandler = (req, res) => {
  res.json(getAuth(req).clientId ?? null);
};

function serve(options: Partial<McpResourceOptions> = {}, ...gates: RequestHandler[]): Express {
  const { metadata, bearer } = mcpResource({
    resource: RESOURCE,
    issuer: issuer.url,
    scopes: ['files:read'],
    ...options,
  });
  return express()
    .use(metadata)
    .all('/mcp', bearer, ...gates, ok);
}

/** Starts an application that knows its own origin. */
async function start(create: (origin: string) => RequestListener): Promise<string> {
  const handlers: { app?: RequestListener } = {};
  const port = await listen((req, res) => {
    handlers.app?.(req, res);
  });
  const origin = `http://127.0.0.1:${port}`;
  handlers.app = create(origin);
  return origin;
}

const clients = { 'version 2': [discoverV2, readChallengeV2], 'version 1': [discoverV1, readChallengeV1] } as const;

describe.each(Object.entries(clients))('the client of %s of the SDK', (_, [discover, readChallenge]) => {
  it.each(['', '/mcp', '/files/mcp', '/mcp?tenant=a'])('finds the metadata of %p without a challenge', async (path) => {
    let resource = '';
    const origin = await start((own) => {
      resource = `${own}${path}`;
      return express().use(mcpResource({ resource, issuer: issuer.url }).metadata);
    });
    expect(await discover(`${origin}${path}`)).toMatchObject({ resource, authorization_servers: [issuer.url] });
  });

  it('finds the metadata of each of several servers in one application, also in a router', async () => {
    const paths = ['', '/files/mcp', '/mail/mcp'];
    const origin = await start((own) => {
      const router = Router();
      for (const path of paths) router.use(mcpResource({ resource: `${own}${path}`, issuer: issuer.url }).metadata);
      return express().use(router);
    });
    for (const path of paths)
      expect(await discover(`${origin}${path}`)).toMatchObject({ resource: `${origin}${path}` });
  });

  const read = async (app: Express, token?: string): Promise<unknown> => {
    const port = await listen(app);
    const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const response = await fetch(`http://127.0.0.1:${port}/mcp`, { method: 'POST', headers });
    const { resourceMetadataUrl, scope, error } = readChallenge(response);
    return [response.status, resourceMetadataUrl?.href, scope, error];
  };

  it.each([undefined, 'allowed'] as const)('reads each challenge with dpop: %p', async (dpop) => {
    expect(await read(serve({ dpop }))).toEqual([401, METADATA, 'files:read', undefined]);
    expect(await read(serve({ dpop }), 'invalid')).toEqual([401, METADATA, 'files:read', 'invalid_token']);
    const token = await issuer.issue({ aud: RESOURCE, scope: 'files:read' });
    const gate = requireScopes('files:write', 'files:list');
    expect(await read(serve({ dpop }, gate), token)).toEqual([
      ...[403, METADATA, 'files:write files:list', 'insufficient_scope'],
    ]);
  });
});

describe('the metadata', () => {
  it.each(['https://mcp.example.com', 'https://mcp.example.com:8443/a/mcp'])(
    'of %s is where the servers of the SDK have it',
    (resource) => {
      const { url } = mcpResource({ resource, issuer: issuer.url }).metadata;
      expect([metadataUrlV2(new URL(resource)), metadataUrlV1(new URL(resource))]).toEqual([url, url]);
    },
  );

  it('and the challenge do not depend on Host and forwarded fields', async () => {
    const port = await listen(serve());
    const fields = ['X-Forwarded-Host', 'evil.example', 'X-Forwarded-Proto', 'http', 'Forwarded', 'host=evil.example'];
    const challenge = await getRaw(port, fields, { path: '/mcp' });
    expect(challengesOf(challenge)[0]?.parameters.resource_metadata).toBe(METADATA);
    const document = await getRaw(port, fields, { path: new URL(METADATA).pathname });
    expect(JSON.parse(document.body)).toMatchObject({ resource: RESOURCE, authorization_servers: [issuer.url] });
  });

  it('can be read by scripts with the header fields of the SDK', async () => {
    const preflight = await supertest(serve())
      .options(new URL(METADATA).pathname)
      .set({ Origin: 'https://app.example', 'Access-Control-Request-Headers': 'mcp-protocol-version' });
    expect(preflight.status).toBe(204);
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-headers': expect.stringContaining('*'),
    });
  });
});

describe('a request', () => {
  it.each(['get', 'post', 'delete', 'put', 'head', 'options'] as const)('with %s needs a token', async (method) => {
    const response = await supertest(serve())[method]('/mcp');
    expect(response.status).toBe(401);
    expect(challengesOf(response)[0]?.parameters).toEqual({ scope: 'files:read', resource_metadata: METADATA });
  });

  it.each(['initialize', 'server/discover', 'tools/list', 'notifications/initialized', 'ping'])(
    'with the method %s needs a token',
    async (method) => {
      const response = await supertest(serve()).post('/mcp').set('Mcp-Method', method).send({ jsonrpc: '2.0', method });
      expect(response.status).toBe(401);
    },
  );

  it('may not have its token in the query or in the body', async () => {
    const token = await issuer.issue({ aud: RESOURCE });
    const app = serve();
    expect((await supertest(app).get('/mcp').query({ access_token: token })).status).toBe(401);
    expect((await supertest(app).post('/mcp').type('form').send({ access_token: token })).status).toBe(401);
  });

  it.each([
    ['https://MCP.example.com:443/mcp', 200],
    ['https://mcp.example.com/mcp#a', 401],
    ['https://mcp.example.com/mcp?', 401],
    ['https://mcp.example.com/MCP', 401],
    ['http://mcp.example.com/mcp', 401],
    ['https://mcp.example.com.evil.example/mcp', 401],
    ['https://mcp.example.com@evil.example/mcp', 401],
    ['mcp.example.com/mcp', 401],
    [' https://mcp.example.com/mcp', 401],
  ])('with a token for %p is %i', async (aud, status) => {
    const token = await issuer.issue({ aud });
    expect((await supertest(serve()).post('/mcp').auth(token, { type: 'bearer' })).status).toBe(status);
  });

  it('with a token for another server of the same authorization server is rejected', async () => {
    const resources = ['https://mcp.example.com/files/mcp', 'https://mcp.example.com/mail/mcp'];
    for (const own of resources) {
      for (const aud of resources) {
        const token = await issuer.issue({ aud });
        const response = await supertest(serve({ resource: own }))
          .post('/mcp')
          .auth(token, { type: 'bearer' });
        expect(response.status).toBe(own === aud ? 200 : 401);
      }
    }
  });

  it('may be from a client whose id is the URL of its metadata', async () => {
    const clientId = 'https://client.example.com/oauth/metadata.json';
    const token = await issuer.issue({ aud: RESOURCE, client_id: clientId, sub: 'somebody' });
    const response = await supertest(serve({}, requireClient(clientId)))
      .post('/mcp')
      .auth(token, { type: 'bearer' });
    expect([response.status, response.body]).toEqual([200, clientId]);
  });

  it('is rejected with 400 if it has several tokens, with the address of the metadata', async () => {
    const port = await listen(serve());
    const response = await getRaw(port, ['Authorization', 'Bearer a', 'Authorization', 'Bearer b'], { path: '/mcp' });
    expect(response.status).toBe(400);
    expect(challengesOf(response)[0]?.parameters).toMatchObject({
      error: 'invalid_request',
      resource_metadata: METADATA,
    });
  });

  it('has a DPoP proof for the resource, whatever the host behind a proxy', async () => {
    const client = await DpopClient.make();
    const token = await issuer.issue({ aud: RESOURCE, cnf: client.cnf });
    const port = await listen(serve({ dpop: 'required' }));
    const send = async (htu: string): Promise<number> => {
      const proof = await client.prove(token, { claims: { htu } });
      const fields = ['Authorization', `DPoP ${token}`, 'DPoP', proof];
      return (await getRaw(port, fields, { path: '/mcp' })).status;
    };
    expect(await send(RESOURCE)).toBe(200);
    expect(await send(`http://127.0.0.1:${port}/mcp`)).toBe(401);
  });
});

describe('the AuthInfo', () => {
  it('is plain data', async () => {
    let authInfo: McpAuthInfo | undefined;
    const app = serve({}, (req, _res, next) => {
      authInfo = Reflect.get(req, 'auth');
      next();
    });
    const token = await issuer.issue({ aud: RESOURCE, scope: 'files:read' });
    await supertest(app).post('/mcp').auth(token, { type: 'bearer' }).expect(200);
    expect(JSON.parse(JSON.stringify(authInfo))).toMatchObject({ token, resource: RESOURCE, scopes: ['files:read'] });
    expect(Object.values(authInfo ?? {}).some((value) => typeof value === 'function')).toBe(false);
  });
});

describe('mcpToolScopes', () => {
  const app = express();

  beforeAll(() => {
    const { bearer } = mcpResource({ resource: RESOURCE, issuer: issuer.url });
    app.post('/mcp', bearer, express.json(), mcpToolScopes({ write_file: ['files:write'] }), ok);
  });

  const call = (name: string): object => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } });

  it('reads the body, not the header fields', async () => {
    const token = await issuer.issue({ aud: RESOURCE, scope: 'files:read' });
    const send = (name: string, field: string): supertest.Test =>
      supertest(app).post('/mcp').auth(token, { type: 'bearer' }).set('Mcp-Name', field).send(call(name));
    expect((await send('write_file', 'whoami')).status).toBe(403);
    expect((await send('whoami', 'write_file')).status).toBe(200);
  });

  it.each(['text/plain', 'text/plain; a=application/json', undefined])(
    'rejects a body of the type %p as a mistake of the caller',
    async (type) => {
      const token = await issuer.issue({ aud: RESOURCE, scope: 'files:read' });
      const port = await listen(app);
      const headers = { Authorization: `Bearer ${token}`, ...(type === undefined ? {} : { 'Content-Type': type }) };
      const body = type === undefined ? null : JSON.stringify(call('write_file'));
      const response = await fetch(`http://127.0.0.1:${port}/mcp`, { method: 'POST', headers, body });
      expect(response.status).toBe(type === undefined ? 400 : 415);
    },
  );
});
