import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { type RequestHandler, Router } from 'express';
import { mcpResource, mcpScopes } from 'express-resource-server/mcp';
import { z } from 'zod';

export interface McpApiOptions {
  /** The issuer of the accepted access tokens. */
  readonly issuer: string;
  /** The URL at which clients reach the MCP server. */
  readonly resource: string;
}

/** A server for the Model Context Protocol, at `/mcp`. Its clients find the issuer by themselves. */
export function createMcpApi({ issuer, resource }: McpApiOptions): Router {
  const { metadata, bearer } = mcpResource({
    issuer,
    resource,
    realm: 'notes',
    scopes: ['notes:read'],
    scopeHierarchy: { 'notes:write': ['notes:read'] },
  });
  const notes = ['tea is out'];
  const handler = createMcpHandler(() => createServer(notes));
  const router = Router();
  router.use(metadata);
  // The cast is necessary only where express-resource-server/augment declares another type for req.auth, as in this repository.
  router.all('/mcp', bearer, toNodeHandler(handler) as RequestHandler);
  return router;
}

function createServer(notes: string[]): McpServer {
  const server = new McpServer({ name: 'notes', version: '1.0.0' });
  server.registerTool('read_notes', { scopeChallenge: mcpScopes('notes:read') }, () => text(notes.join(', ')));
  server.registerTool(
    'add_note',
    { inputSchema: z.object({ note: z.string() }), scopeChallenge: mcpScopes('notes:write') },
    ({ note }, ctx) => {
      notes.push(`${note} (${ctx.http?.authInfo?.clientId ?? 'nobody'})`);
      return text('added');
    },
  );
  return server;
}

function text(content: string): { content: { type: 'text'; text: string }[] } {
  return { content: [{ type: 'text', text: content }] };
}
