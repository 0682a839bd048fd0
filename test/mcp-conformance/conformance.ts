import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { request, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { localhostHostValidation } from '@modelcontextprotocol/express';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import express, { type Express, type RequestHandler } from 'express';
import { mcpResource } from 'express-resource-server/mcp';
import { listen, startIssuer } from '../support/helpers.js';
import { type OpenSession, serveSessions } from '../support/mcp-sessions.js';
import { conformanceHandler, createConformanceServer } from './server.js';

const RESOURCE = 'https://mcp.example.com/mcp';
const FOLDER = fileURLToPath(new URL('.', import.meta.url));

const openSession: OpenSession = async (options) => {
  const transport = new NodeStreamableHTTPServerTransport(options);
  await createConformanceServer().connect(transport);
  return transport;
};

function serveRequests(...middlewares: RequestHandler[]): Express {
  return express().all('/mcp', ...middlewares, toNodeHandler(conformanceHandler()) as RequestHandler);
}

/** A proxy that adds a token: the suite has none. */
function withToken(port: number, token: string): RequestListener {
  return (req, res) => {
    const { method, url: path, headers } = req;
    const options = {
      host: '127.0.0.1',
      port,
      method,
      path,
      headers: { ...headers, authorization: `Bearer ${token}` },
    };
    const forwarded = request(options, (response) => {
      res.writeHead(response.statusCode ?? 500, response.headers);
      res.flushHeaders();
      response.pipe(res);
    });
    res.on('close', () => forwarded.destroy());
    forwarded.on('error', () => res.destroy());
    req.pipe(forwarded);
  };
}

/** The checks of each scenario: their names with their results. */
type Results = Record<string, string[]>;

async function runSuite(app: RequestListener, ...options: string[]): Promise<Results> {
  const folder = await mkdtemp(join(tmpdir(), 'conformance-'));
  const command = join(FOLDER, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
  const url = `http://localhost:${await listen(app)}/mcp`;
  const parameters = [
    '--import',
    join(FOLDER, 'glob-sync.js'),
    command,
    'server',
    '--url',
    url,
    '-o',
    folder,
    ...options,
  ];
  // The command exits with 1 if a check fails.
  const output = await new Promise<string>((resolve) => {
    execFile(process.execPath, parameters, (_error, stdout, stderr) => {
      resolve(stdout + stderr);
    });
  });
  const results: Results = {};
  for (const file of await readdir(folder, { recursive: true })) {
    if (!file.endsWith('checks.json')) continue;
    const checks = JSON.parse(await readFile(join(folder, file), 'utf8')) as { id: string; status: string }[];
    const scenario = file.replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\dT.*$/s, '');
    results[scenario] = checks.map(({ id, status }) => `${id}: ${status}`).sort();
  }
  await rm(folder, { recursive: true });
  if (Object.keys(results).length === 0) throw new Error(output);
  return results;
}

function countOf(results: Results, status: string): number {
  return Object.values(results)
    .flat()
    .filter((check) => check.endsWith(`: ${status}`)).length;
}

describe.each([
  ['2026-07-28', serveRequests, 120],
  ['2025-11-25', (...middlewares: RequestHandler[]) => serveSessions(openSession, ...middlewares), 60],
])('the conformance suite for the specification %s', (revision, serve, successes) => {
  const options = ['--suite', 'all', '--spec-version', revision];

  it('has the same results with and without protection', async () => {
    const issuer = await startIssuer();
    const token = await issuer.issue({ aud: RESOURCE });
    const { bearer } = mcpResource({ resource: RESOURCE, issuer: issuer.url });
    const validation = localhostHostValidation();
    const port = await listen(serve(validation, bearer));
    expect((await fetch(`http://127.0.0.1:${port}/mcp`)).status).toBe(401);
    const [without, withProtection] = await Promise.all([
      runSuite(serve(validation), ...options),
      runSuite(withToken(port, token), ...options),
    ]);
    expect(withProtection).toEqual(without);
    expect(countOf(without, 'SUCCESS')).toBeGreaterThanOrEqual(successes);
  });
});
