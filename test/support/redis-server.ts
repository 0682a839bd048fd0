import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from 'redis';

const WITHOUT_FILES = ['--save', '', '--appendonly', 'no'];

/** A Redis server for one test file, on a free port and without files. */
export class RedisServer {
  readonly #flags: readonly string[];
  #process: ChildProcess | undefined;
  #port = 0;

  private constructor(flags: readonly string[]) {
    this.#flags = flags;
  }

  static async start(...flags: string[]): Promise<RedisServer> {
    const server = new RedisServer([...WITHOUT_FILES, ...flags]);
    await server.start();
    return server;
  }

  /** Starts a sentinel. It rewrites its configuration file. */
  static async startSentinel(configurationFile: string): Promise<RedisServer> {
    const server = new RedisServer([configurationFile, '--sentinel']);
    await server.start();
    return server;
  }

  get port(): number {
    return this.#port;
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
    const flags = [...this.#flags, '--port', String(port), '--bind', '127.0.0.1'];
    const started = spawn('redis-server', flags, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#process = started;
    return new Promise((resolve) => {
      let output = '';
      started.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (/eady to accept connections|Sentinel ID is/.test(output)) resolve(true);
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

/** Tests that need redis-server on PATH. Without it they are skipped, with a message; in CI that is a failure. */
export function describeIfRedisIsInstalled(name: string, tests: () => void): void {
  describe(name, () => {
    if (isInstalled) {
      tests();
      return;
    }
    it('Redis tests are skipped: no redis-server on PATH', () => {
      process.stderr.write(`${name}: Redis tests are skipped: no redis-server on PATH\n`);
      expect(process.env.CI ?? '').toBe('');
    });
  });
}

/** Tests that need one Redis server. It starts before the first test and is emptied after each. */
export function describeWithRedis(name: string, tests: (redis: { server: RedisServer; client: Client }) => void): void {
  describeIfRedisIsInstalled(name, () => {
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

interface Emitter {
  on(event: 'error', listener: () => void): unknown;
}

/** Clients that end with the file; errors are those of their commands. */
export class OpenClients {
  readonly #closes: (() => void)[] = [];

  constructor() {
    afterAll(() => {
      for (const close of this.#closes) close();
    });
  }

  /** Connects a client of `redis`. */
  async connect<C extends Emitter & { connect: () => Promise<unknown>; destroy: () => void }>(client: C): Promise<C> {
    client.on('error', () => undefined);
    await client.connect();
    this.#closes.push(() => {
      client.destroy();
    });
    return client;
  }

  /** A client of `ioredis` or `iovalkey`. */
  add<C extends Emitter & { disconnect: () => void }>(client: C): C {
    client.on('error', () => undefined);
    this.#closes.push(() => {
      client.disconnect();
    });
    return client;
  }
}
