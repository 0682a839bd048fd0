import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { startIssuer } from '../support/helpers.js';
import { describeWithRedis } from '../support/redis-server.js';
import { ROOT } from '../support/type-check.js';

const LIBRARY = pathToFileURL(join(ROOT, 'dist/index.js')).href;
const REDIS = pathToFileURL(join(ROOT, 'node_modules/redis/dist/index.js')).href;

/** How long the network takes, and how long the process is suspended. Milliseconds. The deadlines are shorter than the latter. */
const DELAY = 300;
const SUSPENDED = 1_500;

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/**
 * Runs `code`, and `attempt()` of it while the process is suspended. Returns what that prints. A container that is paused and
 * a laptop that sleeps suspend a process in this way.
 */
async function runSuspended(code: string, beforeAttempt: () => void): Promise<string> {
  const program = `
    import * as library from ${JSON.stringify(LIBRARY)};
    ${code}
    console.log('ready');
    process.stdin.once('data', () => attempt().then(() => 'accepted', (error) => String(error)).then(console.log));`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  await lines.next();
  beforeAttempt();
  child.stdin.write('now');
  await pause(DELAY / 2);
  child.kill('SIGSTOP');
  await pause(SUSPENDED);
  child.kill('SIGCONT');
  return String((await lines.next()).value);
}

/** A connection to a port whose data arrive late. Returns its own port. */
async function listenBetween(port: number, delay: () => number): Promise<number> {
  const server = createServer((socket) => {
    const upstream = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      from.on('error', () => undefined);
      from.on('close', () => to.destroy());
      from.on('data', (data) => setTimeout(() => to.write(data), from === upstream ? delay() : 0));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  return (server.address() as AddressInfo).port;
}

describe('a process that was suspended while it waited', () => {
  it.each(['metadata', 'jwks'] as const)('uses the %s that arrived meanwhile', async (document) => {
    const issuer = await startIssuer();
    const { url } = issuer;
    const content = document === 'jwks' ? { keys: issuer.published } : { issuer: url, jwks_uri: issuer.jwksUri };
    issuer.fail(document, (res) => {
      setTimeout(() => res.setHeader('Content-Type', 'application/json').end(JSON.stringify(content)), DELAY);
    });
    const options = { issuer: url, audience: issuer.audience, keys: { prefetch: false, timeout: 1 } };
    const code = `
      const verifier = library.jwtVerifier(${JSON.stringify(options)});
      const attempt = async () => verifier.verify(${JSON.stringify(await issuer.issue())});`;
    expect(await runSuspended(code, () => undefined)).toBe('accepted');
  });
});

describeWithRedis('a process that was suspended while it waited for Redis', (redis) => {
  it('uses the reply that arrived meanwhile', async () => {
    let delay = 0;
    const port = await listenBetween(redis.server.port, () => delay);
    const code = `
      import { createClient } from ${JSON.stringify(REDIS)};
      const client = createClient({ url: 'redis://127.0.0.1:${port}' });
      await client.connect();
      const store = library.redisStore(client);
      await store.get('key');
      const attempt = () => store.get('key');`;
    expect(await runSuspended(code, () => (delay = DELAY))).toBe('accepted');
  });
});
