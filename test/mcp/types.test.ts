import { describe, expect, it } from '@jest/globals';
import { check } from '../support/type-check.js';

const MINUTE = 60_000;

// A virtual file: this repository imports `express-resource-server/augment`, with which `req.auth` has another type.
const PROGRAM = `
import { requireBearerAuth } from '@modelcontextprotocol/express';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { requireBearerAuth as requireBearerAuthV1 } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import * as errors from '@modelcontextprotocol/sdk/server/auth/errors.js';
import type { AuthInfo as AuthInfoV1 } from '@modelcontextprotocol/sdk/server/auth/types.js';
import { McpServer as McpServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { type AuthInfo, createMcpHandler, McpServer, type OAuthTokenVerifier, type ScopeChallengeHandler } from '@modelcontextprotocol/server';
import express, { type Express } from 'express';
import { jwtBearer, jwtVerifier } from 'express-resource-server';
import { mcpAuthInfo, type McpAuthInfo, mcpResource, mcpScopes, mcpTokenVerifier, mcpToolScopes } from 'express-resource-server/mcp';

const options = { issuer: 'https://auth.example.com', audience: 'https://mcp.example.com/mcp' };
const resource = new URL('https://mcp.example.com/mcp');
const { metadata, bearer } = mcpResource({ resource, issuer: options.issuer, scopes: ['files:read'] });
const app: Express = express();
app.use(metadata);

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'files', version: '1.0.0' });
  const scopeChallenge: ScopeChallengeHandler = mcpScopes('files:write');
  server.registerTool('write_file', { scopeChallenge }, ({ http }) => {
    const authInfo: McpAuthInfo | undefined = http?.authInfo;
    const scopes: string[] = authInfo?.scopes.sort() ?? [];
    return { content: [{ type: 'text', text: scopes.join(' ') }] };
  });
  server.registerPrompt('summary', { scopeChallenge: mcpScopes('files:read') }, () => ({ messages: [] }));
  server.registerResource('notes', 'notes://all', { scopeChallenge: mcpScopes('files:read') }, () => ({ contents: [] }));
  return server;
});
app.all('/mcp', bearer, toNodeHandler(handler));
app.all('/mcp', jwtBearer(options), mcpAuthInfo({ resource, resourceMetadata: metadata }), toNodeHandler(handler));
app.all('/mcp', bearer, express.json(), (req, res) => toNodeHandler(handler)(req, res, req.body));
app.post('/mcp', bearer, express.json(), mcpToolScopes({ write_file: ['files:write'] }), async (req, res) => {
  await new NodeStreamableHTTPServerTransport({ sessionIdGenerator: () => 'a' }).handleRequest(req, res, req.body);
});

const version1 = new McpServerV1({ name: 'files', version: '1.0.0' });
version1.registerTool('whoami', {}, ({ authInfo }) => {
  const own: McpAuthInfo | undefined = authInfo;
  return { content: [{ type: 'text', text: own?.clientId ?? '' }] };
});
app.post('/v1', bearer, express.json(), async (req, res) => {
  await new StreamableHTTPServerTransport({ sessionIdGenerator: () => 'a' }).handleRequest(req, res, req.body);
});

const tokenVerifier: OAuthTokenVerifier = mcpTokenVerifier(jwtVerifier(options), { resource });
app.use(requireBearerAuth({ verifier: tokenVerifier }));
app.use(requireBearerAuthV1({ verifier: mcpTokenVerifier(jwtVerifier(options), { errors }) }));

export const both = (authInfo: McpAuthInfo): [AuthInfo, AuthInfoV1] => [authInfo, authInfo];
`;

const IMPORTS = `
import express from 'express';
import { jwtBearer, jwtVerifier } from 'express-resource-server';
import { mcpAuthInfo, type McpAuthInfo, mcpResource, mcpScopes, mcpTokenVerifier, mcpToolScopes } from 'express-resource-server/mcp';
const options = { issuer: 'https://auth.example.com', audience: 'https://mcp.example.com/mcp' };
const resource = 'https://mcp.example.com/mcp';
const authInfo: McpAuthInfo = { token: '', clientId: '', scopes: [] };
`;

const MISTAKES: readonly string[] = [
  "mcpResource({ issuer: 'https://auth.example.com' });",
  'mcpResource({ resource: 1 });',
  "mcpResource({ resource, issuer: options.issuer, scopes: 'files:read' });",
  "mcpResource({ resource, issuer: options.issuer, resourceMetadata: 'https://mcp.example.com' });",
  'mcpResource({ resource, verifier: jwtBearer(options) });',
  'express().use(mcpResource({ resource, issuer: options.issuer }));',
  'express().use(mcpResource);',
  'express().use(mcpAuthInfo);',
  'express().use(mcpToolScopes);',
  'mcpAuthInfo({ resource: 1 });',
  'mcpAuthInfo({ scopes: [] });',
  'mcpScopes();',
  "mcpScopes(['files:read']);",
  "mcpScopes('files:read files:write');",
  "mcpToolScopes({ write_file: 'files:write' });",
  'mcpTokenVerifier(jwtBearer(options));',
  'mcpTokenVerifier(jwtVerifier(options), { errors: { InvalidTokenError: Error } });',
  'authInfo.scope;',
  "authInfo.expiresAt = '2026-01-01';",
  "authInfo.resource = 'https://mcp.example.com/mcp';",
];

describe.each([4, 5] as const)('with the types of Express %i', (version) => {
  it(
    'the middlewares fit the SDK, without a cast',
    () => {
      expect(check({ express: version, virtual: { 'test/mcp/program.ts': PROGRAM } }).errors).toEqual([]);
    },
    MINUTE,
  );

  it(
    'wrong usage does not compile',
    () => {
      const wrong = `${IMPORTS}\n${MISTAKES.map((mistake) => `// @ts-expect-error\n${mistake}`).join('\n')}`;
      expect(check({ express: version, virtual: { 'test/mcp/wrong.ts': wrong } }).errors).toEqual([]);
    },
    MINUTE,
  );
});
