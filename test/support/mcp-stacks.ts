import * as v2 from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import * as extensionsV1 from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer as ServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport as ServerTransportV1 } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler } from '@modelcontextprotocol/server';
import express, { type Express, type RequestHandler } from 'express';
import express4 from 'express4';
import { type McpResource, mcpToolScopes } from 'express-resource-server/mcp';
import { z } from 'zod';
import { createServer, type ToolClient } from './mcp-server.js';
import type { OpenSession } from './mcp-sessions.js';

const identity = { name: 'test', version: '1.0.0' };

export interface Connection {
  readonly client: ToolClient & { close(): Promise<void> };
  connect(): Promise<void>;
  finishAuth(parameters: URLSearchParams): Promise<void>;
}

/** One version of the SDK with one version of Express. */
export interface Stack {
  serve(resource: McpResource): Express;
  /** Opens a stateful session. */
  readonly openSession: OpenSession;
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
    openSession: async (options) => {
      const transport = new NodeStreamableHTTPServerTransport(options);
      await createServer().connect(transport);
      return transport;
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
    openSession: async (options) => {
      const transport = new ServerTransportV1(options);
      await createServerV1().connect(transport);
      return transport;
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
