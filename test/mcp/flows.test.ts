import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { RequestListener } from 'node:http';
import { discoverAuthorizationServerMetadata } from '@modelcontextprotocol/client';
import { mcpResource } from 'express-resource-server/mcp';
import { exportPKCS8 } from 'jose';
import { startIssuer } from '../../lib/cli/issuer.js';
import { listen } from '../support/helpers.js';
import {
  authorizeInBrowser,
  KEY_CLIENT,
  McpAuthorizationServer,
  PERSON_CLIENT,
  SECRET_CLIENT,
} from '../support/mcp-authorization-server.js';
import { callTool, whoami } from '../support/mcp-server.js';
import { type Connection, type Stack, STACKS } from '../support/mcp-stacks.js';
import { McpUser } from '../support/mcp-user.js';
import { cloneInThisRealm } from '../support/one-realm.js';

cloneInThisRealm();

let server: McpAuthorizationServer;
const opened: Connection[] = [];

beforeAll(async () => {
  server = await McpAuthorizationServer.start();
});

afterAll(() => server.close());

afterEach(async () => {
  await Promise.all(opened.splice(0).map(({ client }) => client.close()));
});

/** Starts a server whose resource is its own URL. */
async function serve(stack: Stack, clock?: () => number): Promise<string> {
  let app: RequestListener = (_req, res) => res.writeHead(503).end();
  const port = await listen((req, res) => {
    app(req, res);
  });
  const url = `http://127.0.0.1:${port}/mcp`;
  const scopeHierarchy = { 'files:write': ['files:read'] };
  app = stack.serve(mcpResource({ resource: url, issuer: server.url, scopes: ['files:read'], scopeHierarchy, clock }));
  return url;
}

function open(stack: Stack, url: string, provider: object): Connection {
  const connection = stack.open(url, provider);
  opened.push(connection);
  return connection;
}

describe.each(Object.entries(STACKS))('%s', (_, stack) => {
  it('client credentials with a secret', async () => {
    const url = await serve(stack);
    const options = { ...SECRET_CLIENT, expectedIssuer: server.url, scope: 'files:write' };
    const connection = open(stack, url, new stack.providers.ClientCredentialsProvider(options));
    await connection.connect();
    expect(await whoami(connection.client)).toMatchObject({ clientId: 'secret-client', resource: url });
  });

  it('client credentials with private_key_jwt', async () => {
    const provider = new stack.providers.PrivateKeyJwtProvider({
      ...{ clientId: KEY_CLIENT, privateKey: await exportPKCS8(server.clientKey), algorithm: 'ES256' },
      expectedIssuer: server.url,
    });
    const connection = open(stack, await serve(stack), provider);
    await connection.connect();
    expect(await whoami(connection.client)).toMatchObject({ clientId: KEY_CLIENT, extra: { isMachine: true } });
  });

  /** Sends the user to the browser, and returns with the code. */
  const authorize = async (connection: Connection, user: McpUser): Promise<URLSearchParams> => {
    const { authorizationUrl } = user;
    if (authorizationUrl === undefined) throw new Error('the client did not send the user to the browser');
    await connection.finishAuth((await authorizeInBrowser(authorizationUrl)).searchParams);
    return authorizationUrl.searchParams;
  };

  const signIn = async (url: string, user: McpUser): Promise<Connection> => {
    const first = open(stack, url, user);
    await expect(first.connect()).rejects.toThrow();
    const request = await authorize(first, user);
    expect([request.get('resource'), request.get('code_challenge_method')]).toEqual([url, 'S256']);
    expect(request.get('scope')).toMatch(/^files:read( offline_access)?$/);
    const connection = open(stack, url, user);
    await connection.connect();
    return connection;
  };

  it('dynamic registration and authorization code with PKCE', async () => {
    const connection = await signIn(await serve(stack), new McpUser({ refreshes: false }));
    expect(await whoami(connection.client)).toMatchObject({ extra: { subject: 'somebody', isMachine: false } });
  });

  it('a step-up after 403 with the client-credentials grant', async () => {
    const options = { ...SECRET_CLIENT, expectedIssuer: server.url, scope: 'files:read' };
    const provider = new stack.providers.ClientCredentialsProvider(options);
    const connection = open(stack, await serve(stack), provider);
    await connection.connect();
    expect(await whoami(connection.client)).toMatchObject({ scopes: ['files:read'] });
    if (!stack.requestsScopesOfChallenge) {
      await expect(callTool(connection.client, 'write_file', { name: 'a' })).rejects.toMatchObject({ code: 403 });
      provider.clientMetadata.scope = 'files:read files:write';
      // After a success, the client tries a step-up again.
      await whoami(connection.client);
    }
    expect(await callTool(connection.client, 'write_file', { name: 'a' })).toBe('wrote a');
    expect(provider.tokens()?.scope?.split(' ')).toContain('files:write');
  });

  it('a step-up after 403 of a signed-in person', async () => {
    const user = new McpUser({ refreshes: false, clientId: PERSON_CLIENT });
    const connection = await signIn(await serve(stack), user);
    expect(await whoami(connection.client)).toMatchObject({ scopes: ['files:read'] });
    await expect(callTool(connection.client, 'write_file', { name: 'a' })).rejects.toThrow();

    const request = await authorize(connection, user);
    expect(request.get('scope')?.split(' ')).toContain('files:write');
    expect(await callTool(connection.client, 'write_file', { name: 'a' })).toBe('wrote a');
    expect(await whoami(connection.client)).toMatchObject({ extra: { subject: 'somebody', isMachine: false } });
  });

  it('a refresh after the token expired', async () => {
    let now = Date.now() / 1000;
    const url = await serve(stack, () => now);
    const user = new McpUser({ refreshes: true });
    const connection = await signIn(url, user);
    const { expiresAt } = (await whoami(connection.client)) as { expiresAt: number };
    expect(user.grants).toBe(1);

    now = expiresAt + 11;
    user.onTokens = () => {
      now = Date.now() / 1000;
    };
    expect(await whoami(connection.client)).toMatchObject({ extra: { subject: 'somebody' } });
    expect(user.grants).toBe(2);
  });
});

it('the issuer for development has metadata that clients of the SDK can read', async () => {
  const issuer = await startIssuer(['--port', '0']);
  const metadata = await discoverAuthorizationServerMetadata(issuer.url);
  expect(metadata).toMatchObject({ issuer: issuer.url, grant_types_supported: ['client_credentials'] });
  await issuer.close();
});
