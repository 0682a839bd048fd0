import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { RequestListener } from 'node:http';
import { introspectionVerifier, type TokenVerifier } from 'express-resource-server';
import type { RequestHandler } from 'express';
import { mcpResource } from 'express-resource-server/mcp';
import { listen } from '../support/helpers.js';
import { McpAuthorizationServer, SECRET_CLIENT, SERVER_CLIENT } from '../support/mcp-authorization-server.js';
import { endWithToken, serveSessions } from '../support/mcp-sessions.js';
import { whoami } from '../support/mcp-server.js';
import { type Connection, type Stack, STACKS } from '../support/mcp-stacks.js';
import { cloneInThisRealm } from '../support/one-realm.js';
import { advance, eventually, simulateTime } from '../support/time.js';

cloneInThisRealm();

const opened: Connection[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map(({ client }) => client.close()));
});

type Provider = InstanceType<Stack['providers']['ClientCredentialsProvider']>;

/** One session of the real client at a server that sees each request. */
interface Session {
  readonly connection: Connection;
  readonly provider: Provider;
  /** The requests: method, status, and the id of the session. */
  readonly requests: { method: string; status: () => number; session: string | undefined; isOpen: boolean }[];
  readonly url: string;
}

async function openSession(
  stack: Stack,
  server: McpAuthorizationServer,
  verifierFor?: (resource: string) => TokenVerifier,
): Promise<Session> {
  const requests: Session['requests'] = [];
  const record: RequestHandler = (req, res, next) => {
    const request = {
      method: req.method,
      status: () => res.statusCode,
      session: req.get('Mcp-Session-Id'),
      isOpen: true,
    };
    requests.push(request);
    res.on('close', () => {
      request.isOpen = false;
    });
    next();
  };
  const handlers: { app?: RequestListener } = {};
  const port = await listen((req, res) => {
    handlers.app?.(req, res);
  });
  const url = `http://127.0.0.1:${port}${verifierFor === undefined ? '/mcp' : '/opaque/mcp'}`;
  const { metadata, bearer } = mcpResource({
    ...{ resource: url, scopes: ['files:read'] },
    ...(verifierFor === undefined ? { issuer: server.url } : { verifier: verifierFor(url) }),
  });
  handlers.app = serveSessions(stack.openSession, metadata, record, bearer, endWithToken);
  const options = { ...SECRET_CLIENT, expectedIssuer: server.url, scope: 'files:read' };
  const provider = new stack.providers.ClientCredentialsProvider(options);
  const connection = stack.open(url, provider);
  opened.push(connection);
  await connection.connect();
  return { connection, provider, requests, url };
}

function introspecting(server: McpAuthorizationServer): (resource: string) => TokenVerifier {
  return (resource) =>
    introspectionVerifier({ issuer: server.url, ...SERVER_CLIENT, audience: new URL(resource), cache: { maxAge: 60 } });
}

async function revoke(server: McpAuthorizationServer, token: string): Promise<void> {
  const { clientId: client_id, clientSecret: client_secret } = SECRET_CLIENT;
  const body = new URLSearchParams({ token, client_id, client_secret });
  const response = await fetch(`${server.url}/token/revocation`, { method: 'POST', body });
  expect(response.status).toBe(200);
}

describe.each(Object.entries(STACKS).filter(([name]) => name.endsWith('Express 5')))('a session of %s', (_, stack) => {
  simulateTime();

  let server: McpAuthorizationServer;

  beforeAll(async () => {
    server = await McpAuthorizationServer.start();
  });

  afterAll(() => server.close());

  it('is no credential: each request needs a token', async () => {
    const { connection, requests, url } = await openSession(stack, server);
    await whoami(connection.client);
    const session = requests.find((request) => request.session !== undefined)?.session ?? '';
    expect(session).not.toBe('');
    for (const method of ['GET', 'POST', 'DELETE']) {
      const headers = { 'Mcp-Session-Id': session, Accept: 'application/json, text/event-stream' };
      const response = await fetch(url, { method, headers });
      expect([response.status, response.headers.get('WWW-Authenticate')]).toEqual([
        401,
        expect.stringContaining('resource_metadata='),
      ]);
    }
    expect(await whoami(connection.client)).toMatchObject({ clientId: SECRET_CLIENT.clientId });
  });

  it('has a stream that ends with the token, and continues with the next one', async () => {
    const { connection, provider, requests } = await openSession(stack, server);
    const openStreams = (): number => requests.filter(({ method, isOpen }) => method === 'GET' && isOpen).length;
    await eventually('the client has opened its stream', () => openStreams() === 1);
    const first = provider.tokens()?.access_token;
    await advance({ seconds: 250 });
    expect(openStreams()).toBe(1);

    await advance({ seconds: 60 });
    await eventually('the stream has ended', () => requests.some(({ method, isOpen }) => method === 'GET' && !isOpen));
    for (let seconds = 0; seconds < 30 && openStreams() === 0; seconds++) await advance({ seconds: 1 });
    await eventually('the client has opened another stream', () => openStreams() === 1);
    expect(provider.tokens()?.access_token).not.toBe(first);
    expect(await whoami(connection.client)).toMatchObject({ token: provider.tokens()?.access_token });
    expect(new Set(requests.map(({ session }) => session)).size).toBe(2);
  });

  it('continues with another token after the first was revoked', async () => {
    const { connection, provider } = await openSession(stack, server, introspecting(server));
    const first = provider.tokens()?.access_token ?? '';
    expect(await whoami(connection.client)).toMatchObject({ token: first });
    await revoke(server, first);
    await advance({ seconds: 61 });
    const { token } = await whoami(connection.client);
    expect(token).toBe(provider.tokens()?.access_token);
    expect(token).not.toBe(first);
  });

  it('receives 503 during an outage, and the client keeps its token', async () => {
    const own = await McpAuthorizationServer.start();
    const { connection, provider, requests } = await openSession(stack, own, introspecting(own));
    const first = provider.tokens()?.access_token;
    await own.close();
    await advance({ seconds: 61 });
    requests.length = 0;
    await expect(whoami(connection.client)).rejects.toThrow();
    expect(requests.map(({ status }) => status())).toEqual([503]);
    expect(provider.tokens()?.access_token).toBe(first);
  });
});
