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

/** The deadline in seconds, and how long the process is suspended, in milliseconds: longer than the deadline. */
const TIMEOUT = 3;
const SUSPENDED = 3_500;

/** A server that is called once, and responds when the test says so. */
class LateServer {
  #respond: (() => void) | undefined;
  readonly #called: Promise<void>;
  #note = (): void => undefined;

  constructor() {
    this.#called = new Promise((resolve) => {
      this.#note = resolve;
    });
  }

  called(respond: () => void): void {
    this.#respond = respond;
    this.#note();
  }

  async respondWhileSuspended(child: ChildProcess): Promise<void> {
    await this.#called;
    child.kill('SIGSTOP');
    await pause(100);
    this.#respond?.();
    await pause(SUSPENDED);
    child.kill('SIGCONT');
  }
}

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/**
 * Runs `code`, and `attempt()` of it while the process is suspended. Returns what that prints. A container that is paused and
 * a laptop that sleeps suspend a process in this way.
 */
async function runSuspended(code: string, server: LateServer): Promise<string> {
  const program = `
    import * as library from ${JSON.stringify(LIBRARY)};
    ${code}
    attempt().then(() => 'accepted', (error) => String(error)).then(console.log);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  await server.respondWhileSuspended(child);
  return String((await lines.next()).value);
}

/** A port that passes everything on to Redis. The reply to a command with this text is sent when the test says so. */
async function listenBetween(port: number, late: string, between: LateServer): Promise<number> {
  const server = createServer((socket) => {
    const upstream = connect(port, '127.0.0.1');
    let isLate = false;
    for (const [from, to] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      from.on('error', () => undefined);
      from.on('close', () => to.destroy());
    }
    socket.on('data', (data) => {
      isLate ||= data.includes(late);
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      const reply = (): unknown => socket.write(data);
      if (isLate) between.called(reply);
      else reply();
    });
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
    const server = new LateServer();
    issuer.fail(document, (res) => {
      server.called(() => res.setHeader('Content-Type', 'application/json').end(JSON.stringify(content)));
    });
    const options = { issuer: url, audience: issuer.audience, keys: { prefetch: false, timeout: TIMEOUT } };
    const code = `
      const verifier = library.jwtVerifier(${JSON.stringify(options)});
      const attempt = async () => verifier.verify(${JSON.stringify(await issuer.issue())});`;
    expect(await runSuspended(code, server)).toBe('accepted');
  });
});

describeWithRedis('a process that was suspended while it waited for Redis', (redis) => {
  it('uses the reply that arrived meanwhile', async () => {
    const server = new LateServer();
    const port = await listenBetween(redis.server.port, 'late-key', server);
    const code = `
      import { createClient } from ${JSON.stringify(REDIS)};
      const client = createClient({ url: 'redis://127.0.0.1:${port}' });
      await client.connect();
      const store = library.redisStore(client, { timeout: ${TIMEOUT} });
      await store.get('key');
      const attempt = () => store.get('late-key');`;
    expect(await runSuspended(code, server)).toBe('accepted');
  });
});
