import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ClientCredentialsProvider, DpopSession } from '@modelcontextprotocol/client';
import type { RequestListener } from 'node:http';
import express, { type RequestHandler } from 'express';
import { authSignal, jwtVerifier } from 'express-resource-server';
import { mcpResource, mcpToolScopes } from 'express-resource-server/mcp';
import { TestIssuer } from '../../lib/testing/issuer.js';
import { listen } from '../support/helpers.js';
import { BOUND_CLIENT, McpAuthorizationServer } from '../support/mcp-authorization-server.js';
import { callTool, connect, connectWith, serveMcp, whoami } from '../support/mcp-server.js';
import { cloneInThisRealm } from '../support/one-realm.js';

cloneInThisRealm();

const RESOURCE = 'https://mcp.example.com/mcp';
let issuer: TestIssuer;

beforeAll(async () => {
  issuer = await TestIssuer.start();
});

afterAll(() => issuer.close());

describe('a stream that outlives its token', () => {
  it('ends when the token is invalidated', async () => {
    const verifier = jwtVerifier({ issuer: issuer.url, audience: RESOURCE });
    const { bearer } = mcpResource({ resource: RESOURCE, verifier });
    const app = express().get('/mcp', bearer, (req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' });
      res.write(': open\n\n');
      authSignal(req).addEventListener('abort', () => res.destroy(), { once: true });
    });
    const token = await issuer.issue({ aud: RESOURCE });
    const port = await listen(app);
    const response = await fetch(`http://127.0.0.1:${port}/mcp`, { headers: { Authorization: `Bearer ${token}` } });
    const body = response.text();
    await verifier.invalidate(token);
    await expect(body).rejects.toThrow();
  });
});

describe('a session', () => {
  it('continues during an outage of the issuer', async () => {
    const down = await TestIssuer.start();
    const { bearer } = mcpResource({ resource: RESOURCE, issuer: down.url, cache: false });
    const url = `http://127.0.0.1:${await listen(serveMcp(bearer))}/mcp`;
    const client = await connectWith(url, await down.issue({ aud: RESOURCE }));
    await down.close();
    expect(await whoami(client)).toMatchObject({ clientId: 'client-1' });
  });
});

describe('DPoP with nonces', () => {
  let server: McpAuthorizationServer;

  beforeAll(async () => {
    server = await McpAuthorizationServer.start();
  });

  afterAll(() => server.close());

  const gates: Readonly<Record<string, RequestHandler[]>> = {
    mcpScopes: [],
    mcpToolScopes: [express.json(), mcpToolScopes({ write_file: ['files:write'] })],
  };

  it.each(Object.entries(gates))('works with the client of the SDK, with a step-up by %s', async (_, gate) => {
    let app: RequestListener = (_req, res) => res.writeHead(503).end();
    const port = await listen((req, res) => {
      app(req, res);
    });
    const resource = `http://127.0.0.1:${port}/mcp`;
    const dpop = { mode: 'required', nonce: true } as const;
    const { metadata, bearer } = mcpResource({ resource, issuer: server.url, scopes: ['files:read'], dpop });
    app = express()
      .use(metadata)
      .use(serveMcp(bearer, ...gate));
    const session = await DpopSession.create({ alg: 'ES256' });
    const provider = new ClientCredentialsProvider({ ...BOUND_CLIENT, expectedIssuer: server.url });
    const authProvider = Object.assign(provider, { dpop: () => session });
    const client = await connect(resource, { authProvider });
    expect(await whoami(client)).toMatchObject({ clientId: BOUND_CLIENT.clientId, extra: { scheme: 'DPoP' } });
    expect(await callTool(client, 'write_file', { name: 'a' })).toBe('wrote a');
  });
});
