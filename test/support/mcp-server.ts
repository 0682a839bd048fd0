import { afterEach } from '@jest/globals';
import {
  Client,
  StreamableHTTPClientTransport,
  type StreamableHTTPClientTransportOptions,
} from '@modelcontextprotocol/client';
import { type NodeIncomingMessageLike, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import express, { type Express, type Request, type RequestHandler } from 'express';
import { mcpScopes } from 'express-resource-server/mcp';
import { z } from 'zod';

/** A server with one tool that returns what it knows of its caller, and one that needs `files:write`. */
export function createServer(): McpServer {
  const server = new McpServer({ name: 'files', version: '1.0.0' });
  server.registerTool('whoami', {}, (ctx) => ({
    content: [{ type: 'text', text: JSON.stringify(ctx.http?.authInfo ?? null) }],
  }));
  server.registerTool(
    'write_file',
    { inputSchema: z.object({ name: z.string() }), scopeChallenge: mcpScopes('files:write') },
    ({ name }) => ({ content: [{ type: 'text', text: `wrote ${name}` }] }),
  );
  return server;
}

/** An application with the MCP server, of version 2 of the SDK, behind these middlewares. */
export function serveMcp(...middlewares: RequestHandler[]): Express {
  const app = express();
  const handle = toNodeHandler(createMcpHandler(createServer));
  // In this repository, `req.auth` has the type of `express-resource-server/augment`.
  type SdkRequest = Omit<Request, 'auth'> & NodeIncomingMessageLike;
  app.all('/mcp', ...middlewares, express.json(), (req, res) => handle(req as SdkRequest, res, req.body));
  return app;
}

const clients: { close(): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

/** A client of version 2 of the SDK, which ends with the test. */
export async function connect(url: string, options: StreamableHTTPClientTransportOptions): Promise<Client> {
  const client = new Client({ name: 'test', version: '1.0.0' });
  clients.push(client);
  await client.connect(new StreamableHTTPClientTransport(new URL(url), options));
  return client;
}

/** Connects with a token that never changes. */
export function connectWith(url: string, token: string): Promise<Client> {
  return connect(url, { authProvider: { token: () => Promise.resolve(token) } });
}

/** What the tests need of a client of either version. */
export interface ToolClient {
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<unknown>;
}

/** The text that a tool returns. */
export async function callTool(client: ToolClient, name: string, args = {}): Promise<string> {
  const { content } = (await client.callTool({ name, arguments: args })) as { content: { text?: string }[] };
  const text = content[0]?.text;
  if (text === undefined) throw new Error(`${name} returned no text`);
  return text;
}

/** What the tool `whoami` knows of its caller. */
export async function whoami(client: ToolClient): Promise<Record<string, unknown>> {
  return JSON.parse(await callTool(client, 'whoami')) as Record<string, unknown>;
}
