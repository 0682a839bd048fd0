/** The sources of the projects: one API that makes requests to itself, in each kind of source file. */

const NAME = 'express-resource-server';

/** What a program prints if all its requests were answered as they must be. */
export const EXPECTED = '200 401 403 401';

const HEADS = {
  require: `
const { readFileSync } = require('node:fs');
const express = require('express');
const { getAuth, InvalidTokenError, jwtBearer, requireScopes } = require('${NAME}');`,
  import: `
import { readFileSync } from 'node:fs';
import express from 'express';
import { getAuth, InvalidTokenError, jwtBearer, requireScopes } from '${NAME}';`,
};

const API = `
const { issuer, audience, jwks, token } = JSON.parse(readFileSync('fixture.json', 'utf8'));

async function requestAll() {
  const app = express();
  app.use(jwtBearer({ issuer, audience, jwks, maxTokenAge: undefined }));
  app.get('/orders', requireScopes('orders:read'), (req, res) => { res.json({ client: getAuth(req).clientId }); });
  app.get('/admin', requireScopes('admin'), (_req, res) => { res.json({}); });
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => { server.once('listening', resolve); });
  const origin = 'http://127.0.0.1:' + server.address().port;
  const statuses = [];
  const wrong = token.slice(0, -8) + 'AAAAAAAA';
  for (const [path, value] of [['/orders', token], ['/orders', undefined], ['/admin', token], ['/orders', wrong]]) {
    const response = await fetch(origin + path, value === undefined ? {} : { headers: { authorization: 'Bearer ' + value } });
    const body = await response.json();
    if (response.status === 200 && body.client !== 'client-1') throw new Error('wrong client');
    statuses.push(response.status);
  }
  await new Promise((resolve) => { server.close(resolve); server.closeAllConnections?.(); });
  if (new InvalidTokenError('expired').name !== 'InvalidTokenError') throw new Error('wrong name');
  return statuses.join(' ');
}
`;

const PRINT = `
requestAll().then((statuses) => { console.log(statuses); }, (error) => { console.error(error); process.exitCode = 1; });
`;

const SUB_EXPORTS = {
  require: `
require('${NAME}/augment');
if (Object.keys(require('${NAME}/testing')).length === 0) throw new Error('testing is empty');`,
  import: `
import '${NAME}/augment';
import * as testing from '${NAME}/testing';
if (Object.keys(testing).length === 0) throw new Error('testing is empty');`,
};

/** A program that prints the statuses. `way` is `require` or `import`. */
export const program = (way) => HEADS[way] + SUB_EXPORTS[way] + API + PRINT;

/** The same for a bundler, without the sub-exports for development. */
export const production = (way) => HEADS[way] + API + PRINT;

/** A test for a runner with the globals `test` and `expect`. */
export const globalTest = (way) => `${HEADS[way]}${SUB_EXPORTS[way]}${API}
test('protects the API', async () => { expect(await requestAll()).toBe('${EXPECTED}'); });
`;

/** A test for a runner whose functions `head` imports. */
export const importedTest = (way, head) => `${head}${HEADS[way]}${SUB_EXPORTS[way]}${API}
it('protects the API', async () => { assert.equal(await requestAll(), '${EXPECTED}'); });
`;

/** A TypeScript program: it uses the types, and contains uses that must not compile. */
export const typed = (end = PRINT) => `
import { readFileSync } from 'node:fs';
import express, { type Request } from 'express';
import {
  type AccessToken, type Auth, bearer, getAuth, getOptionalAuth, InvalidTokenError, introspectionVerifier, jwtBearer,
  type JwtBearerOptions, requireScopes, ResourceServerError, type TokenVerifier,
} from '${NAME}';
import '${NAME}/augment';
import * as testing from '${NAME}/testing';
if (Object.keys(testing).length === 0) throw new Error('testing is empty');

interface Fixture { issuer: string; audience: string; jwks: JwtBearerOptions['jwks']; token: string }
const { issuer, audience, jwks, token } = JSON.parse(readFileSync('fixture.json', 'utf8')) as Fixture;
const realm: string | undefined = undefined;

export const own: TokenVerifier = { verify: (): Promise<AccessToken> => Promise.reject(new InvalidTokenError('expired')) };
export const read = (req: Request): (Auth | undefined)[] => [req.auth, getOptionalAuth(req)];
export const verifiers = () => [
  bearer(own),
  bearer(introspectionVerifier({ issuer, audience, clientId: 'api', clientAuthentication: { privateKey: { kty: 'EC' }, algorithm: 'ES256' } })),
];
// @ts-expect-error: the audience is required
export const withoutAudience = () => jwtBearer({ issuer });
// @ts-expect-error: there is no such option
export const unknownOption = () => jwtBearer({ issuer, audience, audiences: [] });
// @ts-expect-error: a client id is a string
export const wrongType = (req: Request): number => getAuth(req).clientId;

async function requestAll(): Promise<string> {
  const app = express();
  app.use(jwtBearer({ issuer, audience, jwks, realm, maxTokenAge: undefined }));
  app.get('/orders', requireScopes('orders:read'), (req, res) => { res.json({ client: req.auth?.clientId }); });
  app.get('/admin', requireScopes('admin'), (_req, res) => { res.json({}); });
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => { server.once('listening', resolve); });
  const address = server.address();
  const origin = 'http://127.0.0.1:' + (typeof address === 'object' ? address?.port : '');
  const statuses: number[] = [];
  const wrong = token.slice(0, -8) + 'AAAAAAAA';
  for (const [path, value] of [['/orders', token], ['/orders', undefined], ['/admin', token], ['/orders', wrong]]) {
    const response = await fetch(origin + path, value === undefined ? {} : { headers: { authorization: 'Bearer ' + value } });
    statuses.push(response.status);
  }
  await new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); });
  if (!(new InvalidTokenError('expired') instanceof ResourceServerError)) throw new Error('not an instance');
  return statuses.join(' ');
}
${end}`;

/** A typed test for a runner with the globals `test` and `expect`. */
export const typedTest = typed(`
test('protects the API', async () => { expect(await requestAll()).toBe('${EXPECTED}'); });
`);

/** Two copies of the package in one process: the middleware is of one copy, the gate and the handler are of the other. */
export const twoCopies = (other) => `
const { readFileSync } = require('node:fs');
const express = require('express');
const first = require('${NAME}');
async function requestAll() {
  const second = ${other};
  if (first.jwtBearer === second.jwtBearer) throw new Error('this is one copy');
  for (const name of Object.keys(first).filter((each) => /^(Invalid|Missing).*Error$/.test(each))) {
    if (!(new first[name]('expired') instanceof second[name])) throw new Error(name);
    if (new first[name]('expired') instanceof second.UpstreamError) throw new Error(name);
  }
  const { jwtBearer, InvalidTokenError } = first;
  const { getAuth, requireScopes } = second;
  return serve({ jwtBearer, InvalidTokenError, getAuth, requireScopes });
}
${API.replace('async function requestAll() {', 'async function serve({ jwtBearer, InvalidTokenError, getAuth, requireScopes }) {')}
${PRINT}`;

/** NestJS: the middleware and a gate in a module. */
export const nest = `
import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { Controller, Get, type MiddlewareConsumer, Module, type NestModule, Req } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Request } from 'express';
import { getAuth, jwtBearer, requireScopes } from '${NAME}';

const { issuer, audience, jwks, token } = JSON.parse(readFileSync('fixture.json', 'utf8'));

@Controller()
class Orders {
  @Get('orders') orders(@Req() req: Request) { return { client: getAuth(req).clientId }; }
  @Get('admin') admin() { return {}; }
}

@Module({ controllers: [Orders] })
class AppModule implements NestModule {
  configure(consumer: MiddlewareConsumer) {
    consumer.apply(jwtBearer({ issuer, audience, jwks })).forRoutes(Orders);
    consumer.apply(requireScopes('orders:read')).forRoutes('orders');
    consumer.apply(requireScopes('admin')).forRoutes('admin');
  }
}

export async function requestAll() {
  const app = await NestFactory.create(AppModule, { logger: false });
  await app.listen(0, '127.0.0.1');
  const origin = await app.getUrl();
  const statuses: number[] = [];
  const wrong = token.slice(0, -8) + 'AAAAAAAA';
  for (const [path, value] of [['/orders', token], ['/orders', undefined], ['/admin', token], ['/orders', wrong]]) {
    const response = await fetch(origin + path, value === undefined ? {} : { headers: { authorization: 'Bearer ' + value } });
    statuses.push(response.status);
  }
  await app.close();
  return statuses.join(' ');
}
`;
/** An MCP server of both versions of the SDK, with the client of each, in TypeScript. */
export const mcp = `
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as ClientTransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer as McpServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import express from 'express';
import { mcpResource, mcpScopes, mcpToolScopes } from '${NAME}/mcp';

const { issuer, audience, jwks, token } = JSON.parse(readFileSync('fixture.json', 'utf8'));
const { metadata, bearer } = mcpResource({ resource: audience, issuer, jwks, scopes: ['orders:read'] });

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'orders', version: '1.0.0' });
  server.registerTool('whoami', { scopeChallenge: mcpScopes('orders:read') }, ({ http }) => ({
    content: [{ type: 'text', text: http?.authInfo?.clientId ?? '' }],
  }));
  server.registerTool('delete', { scopeChallenge: mcpScopes('orders:delete') }, () => ({ content: [] }));
  return server;
});

function createV1(): McpServerV1 {
  const server = new McpServerV1({ name: 'orders', version: '1.0.0' });
  server.registerTool('whoami', {}, ({ authInfo }) => ({ content: [{ type: 'text', text: authInfo?.clientId ?? '' }] }));
  server.registerTool('delete', {}, () => ({ content: [] }));
  return server;
}

async function requestAll(): Promise<string> {
  const app = express();
  app.use(metadata);
  app.all('/v2', bearer, toNodeHandler(handler));
  app.post('/v1', bearer, express.json(), mcpToolScopes({ delete: ['orders:delete'] }), async (req, res) => {
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
    await createV1().connect(transport as never);
    await transport.handleRequest(req, res, req.body);
  });
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const origin = 'http://127.0.0.1:' + (server.address() as AddressInfo).port;
  const requestInit = { headers: { Authorization: 'Bearer ' + token } };
  const v2 = new Client({ name: 'client', version: '1.0.0' });
  await v2.connect(new StreamableHTTPClientTransport(new URL(origin + '/v2'), { requestInit }));
  const v1 = new ClientV1({ name: 'client', version: '1.0.0' });
  await v1.connect(new ClientTransportV1(new URL(origin + '/v1'), { requestInit }) as never);
  const results: string[] = [];
  for (const client of [v2, v1]) {
    for (const name of ['whoami', 'delete']) {
      const call = client.callTool({ name, arguments: {} }) as Promise<{ content: { text?: string }[] }>;
      results.push(await call.then(({ content }) => content[0]?.text ?? '', () => 'rejected'));
    }
    await client.close();
  }
  const response = await fetch(origin + '/v2', { method: 'POST' });
  results.push(String(response.status), String(response.headers.get('www-authenticate')?.includes('resource_metadata=')));
  await new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); });
  return results.join(' ');
}
`;

export { PRINT };
