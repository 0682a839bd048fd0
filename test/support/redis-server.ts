import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from 'redis';

/** A Redis server for one test file, on a free port and without files. */
export class RedisServer {
  #process: ChildProcess | undefined;
  #port = 0;

  static async start(): Promise<RedisServer> {
    const server = new RedisServer();
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#port}`;
  }

  /** Starts it with no data, for the first time or again. */
  async start(): Promise<void> {
    for (let tries = 0; tries < 5; tries++) {
      if (this.#port === 0) this.#port = await freePort();
      if (await this.#startAt(this.#port)) return;
      // Another process took the port in the meantime.
      this.#port = 0;
    }
    throw new Error('redis-server did not start');
  }

  async stop(): Promise<void> {
    const running = this.#process;
    if (running?.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await ended;
  }

  /** Keeps its connections open and does not respond. */
  freeze(): void {
    this.#process?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#process?.kill('SIGCONT');
  }

  #startAt(port: number): Promise<boolean> {
    const flags = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    const started = spawn('redis-server', flags, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#process = started;
    return new Promise((resolve) => {
      let output = '';
      started.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (output.includes('eady to accept connections')) resolve(true);
      });
      started.once('error', () => {
        resolve(false);
      });
      started.once('exit', () => {
        resolve(false);
      });
    });
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => {
        resolve(port);
      });
    });
  });
}

/** A client that reconnects as soon as the server is back, and logs no errors. */
export function makeClient(server: RedisServer) {
  const client = createClient({ url: server.url, socket: { reconnectStrategy: () => 5 } });
  client.on('error', () => undefined);
  return client;
}

export type Client = ReturnType<typeof makeClient>;

const isInstalled = spawnSync('redis-server', ['--version']).status === 0;

/**
 * Tests that need a Redis server. Without redis-server on PATH they are skipped, with a message; in CI that is a failure.
 * The server starts before the first test and is emptied after each.
 */
export function describeWithRedis(name: string, tests: (redis: { server: RedisServer; client: Client }) => void): void {
  if (!isInstalled) {
    describe(name, () => {
      it('Redis tests are skipped: no redis-server on PATH', () => {
        process.stderr.write(`${name}: Redis tests are skipped: no redis-server on PATH\n`);
        expect(process.env.CI ?? '').toBe('');
      });
    });
    return;
  }
  describe(name, () => {
    // Filled before the first test. No test reads them earlier.
    const redis = {} as { server: RedisServer; client: Client };
    beforeAll(async () => {
      redis.server = await RedisServer.start();
      redis.client = makeClient(redis.server);
      await redis.client.connect();
    });
    afterEach(async () => {
      await redis.client.flushAll();
    });
    afterAll(async () => {
      redis.client.destroy();
      await redis.server.stop();
    });
    tests(redis);
  });
}
