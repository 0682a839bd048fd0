import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  ClientCredentialsProvider,
  DpopSession,
  type FetchLike,
  isDpopNonceChallenge,
} from '@modelcontextprotocol/client';
import { ClientCredentialsProvider as ClientCredentialsV1 } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
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

  const serveBound = async (...gate: RequestHandler[]): Promise<string> => {
    let app: RequestListener = (_req, res) => res.writeHead(503).end();
    const port = await listen((req, res) => {
      app(req, res);
    });
    const url = `http://127.0.0.1:${port}/mcp`;
    const dpop = { mode: 'required', nonce: true } as const;
    const { metadata, bearer } = mcpResource({ resource: url, issuer: server.url, scopes: ['files:read'], dpop });
    app = express()
      .use(metadata)
      .use(serveMcp(bearer, ...gate));
    return url;
  };

  it.each(Object.entries(gates))('works with the client of the SDK, with a step-up by %s', async (_, gate) => {
    const url = await serveBound(...gate);
    const session = await DpopSession.create({ alg: 'ES256' });
    const provider = new ClientCredentialsProvider({ ...BOUND_CLIENT, expectedIssuer: server.url });
    const authProvider = Object.assign(provider, { dpop: () => session });
    const client = await connect(url, { authProvider });
    expect(await whoami(client)).toMatchObject({ clientId: BOUND_CLIENT.clientId, extra: { scheme: 'DPoP' } });
    expect(await callTool(client, 'write_file', { name: 'a' })).toBe('wrote a');
  });

  /** Proofs for a client of version 1, which has none of its own. */
  const withProofs =
    (session: DpopSession): FetchLike =>
    async (url, init) => {
      const send = async (): Promise<Response> => {
        const headers = new Headers(init?.headers);
        const accessToken = /^Bearer (.*)/.exec(headers.get('Authorization') ?? '')?.[1];
        const bound = accessToken === undefined ? {} : { accessToken };
        if (accessToken !== undefined) headers.set('Authorization', `DPoP ${accessToken}`);
        headers.set('DPoP', await session.buildProof({ htm: init?.method ?? 'GET', htu: url, ...bound }));
        const response = await fetch(url, { ...init, headers });
        session.observeNonce(response, url);
        return response;
      };
      const response = await send();
      return isDpopNonceChallenge(response) ? send() : response;
    };

  it('works with the client of version 1, whose fetch adds the proofs', async () => {
    const url = await serveBound();
    const authProvider = new ClientCredentialsV1({ ...BOUND_CLIENT, expectedIssuer: server.url, scope: 'files:read' });
    const session = await DpopSession.create({ alg: 'ES256' });
    const transport = new TransportV1(new URL(url), { authProvider, fetch: withProofs(session) });
    const client = new ClientV1({ name: 'test', version: '1.0.0' });
    await client.connect(transport);
    expect(await whoami(client)).toMatchObject({ clientId: BOUND_CLIENT.clientId, extra: { scheme: 'DPoP' } });
    await client.close();
  });
});
