import * as v2 from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import * as extensionsV1 from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer as ServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport as ServerTransportV1 } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler } from '@modelcontextprotocol/server';
import express, { type Express, type RequestHandler } from 'express';
import express4 from 'express4';
import { type McpResource, mcpToolScopes } from 'express-resource-server/mcp';
import { z } from 'zod';
import { createServer } from './mcp-server.js';

const identity = { name: 'test', version: '1.0.0' };

/** What the tests need of a client of either version. */
export interface StackClient {
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<unknown>;
  close(): Promise<void>;
}

export interface Connection {
  readonly client: StackClient;
  connect(): Promise<void>;
  finishAuth(parameters: URLSearchParams): Promise<void>;
}

/** One version of the SDK with one version of Express. */
export interface Stack {
  serve(resource: McpResource): Express;
  open(url: string, authProvider: object): Connection;
  /** Whether the client-credentials grant requests the scopes of a challenge. Version 1 requests only its own option. */
  readonly requestsScopesOfChallenge: boolean;
  readonly providers: Pick<typeof v2, 'ClientCredentialsProvider' | 'PrivateKeyJwtProvider'> | typeof extensionsV1;
}

function version2(createApp: typeof express): Stack {
  return {
    serve: ({ metadata, bearer }) => {
      const app = createApp();
      app.use(metadata);
      app.all('/mcp', bearer, toNodeHandler(createMcpHandler(createServer)) as RequestHandler);
      return app;
    },
    open: (url, authProvider) => {
      const client = new v2.Client(identity);
      const options = { authProvider: authProvider as v2.OAuthClientProvider };
      const transport = new v2.StreamableHTTPClientTransport(new URL(url), options);
      return {
        client,
        connect: () => client.connect(transport),
        finishAuth: (parameters) => transport.finishAuth(parameters),
      };
    },
    requestsScopesOfChallenge: true,
    providers: v2,
  };
}

function version1(createApp: typeof express): Stack {
  return {
    serve: ({ metadata, bearer }) => {
      const app = createApp();
      app.use(metadata);
      const tools = mcpToolScopes({ write_file: ['files:write'] });
      app.post('/mcp', bearer, express.json(), tools, (req, res, next) => {
        const transport = new ServerTransportV1({});
        const handle = async (): Promise<void> => {
          await createServerV1().connect(transport);
          await transport.handleRequest(req as never, res, req.body);
        };
        handle().catch(next);
      });
      app.get('/mcp', bearer, (_req, res) => {
        res.sendStatus(405);
      });
      return app;
    },
    open: (url, authProvider) => {
      const client = new ClientV1(identity);
      const transport = new TransportV1(new URL(url), { authProvider: authProvider as never });
      return {
        client,
        connect: () => client.connect(transport),
        finishAuth: (parameters) => transport.finishAuth(parameters.get('code') ?? ''),
      };
    },
    requestsScopesOfChallenge: false,
    providers: extensionsV1,
  };
}

function createServerV1(): ServerV1 {
  const server = new ServerV1(identity);
  server.registerTool('whoami', {}, ({ authInfo }) => ({
    content: [{ type: 'text', text: JSON.stringify(authInfo ?? null) }],
  }));
  server.registerTool('write_file', { inputSchema: { name: z.string() } }, ({ name }) => ({
    content: [{ type: 'text', text: `wrote ${name}` }],
  }));
  return server;
}

/** The functions that the tests use are the same in Express 4. */
const createExpress4 = express4 as unknown as typeof express;

export const STACKS: Readonly<Record<string, Stack>> = {
  'version 2 of the SDK with Express 5': version2(express),
  'version 2 of the SDK with Express 4': version2(createExpress4),
  'version 1 of the SDK with Express 5': version1(express),
  'version 1 of the SDK with Express 4': version1(createExpress4),
};
