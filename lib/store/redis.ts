import { ConfigurationError } from '../errors.js';
import { describe, readOptions, type Rules, seconds, text } from '../options.js';
import { withTimeout } from '../util/timeout.js';
import type { Store } from './store.js';

/** The members of a client of the `redis` package (`createClient`, `createCluster`) that are used. */
export interface RedisClient {
  get(key: string): Promise<unknown>;
  set(key: string, value: string, options: { PX: number; NX?: true }): Promise<unknown>;
  del(key: string): Promise<unknown>;
  /** `false` while the client is not connected; commands would wait in a queue. */
  readonly isReady?: boolean | undefined;
}

/** Options of `redisStore`. */
export interface RedisStoreOptions {
  /** Prefix of every key. @default 'express-resource-server:' */
  prefix?: string | undefined;
  /** Deadline of one command. Seconds, 0.01 to 60. @default 0.5 */
  timeout?: number | undefined;
}

const rules: Rules<RedisStoreOptions> = {
  prefix: text('a non-empty string', 'Leave it out for "express-resource-server:".'),
  timeout: seconds(0.01, 60, 'Leave it out for 0.5.'),
};

/**
 * A store in Redis or Valkey, through a client that the application creates, connects and closes. Every value has a
 * lifetime. A command that takes too long rejects, and so does every command while the client is not connected.
 *
 * @throws ConfigurationError for a client that cannot be used, or an option that is unknown or wrong.
 */
export function redisStore(client: RedisClient, options: RedisStoreOptions = {}): Store {
  const { prefix = 'express-resource-server:', timeout = 0.5 } = readOptions<RedisStoreOptions>(
    'redisStore',
    options,
    rules,
  );
  assertClient(client);
  const call = async <T>(command: () => Promise<T>): Promise<T> => {
    if (client.isReady === false) throw new Error('the Redis client is not connected');
    return withTimeout(command(), timeout, 'Redis');
  };
  return {
    get: async (key) => parse(await call(() => client.get(prefix + key))),
    set: async (key, value, lifetime) => {
      await call(() => client.set(prefix + key, JSON.stringify(value), { PX: milliseconds(lifetime) }));
    },
    add: async (key, lifetime) => {
      const answer = await call(() => client.set(prefix + key, '1', { PX: milliseconds(lifetime), NX: true }));
      if (answer === 'OK') return true;
      if (answer === null) return false;
      throw new TypeError('Redis answered a claim with something else than OK or nothing');
    },
    delete: async (key) => {
      await call(() => client.del(prefix + key));
    },
  };
}

// Redis requires a whole number of at least 1.
function milliseconds(lifetime: number): number {
  return Math.max(1, Math.ceil(lifetime * 1000));
}

// A value that is not JSON was not written by this store. It counts as missing and is overwritten.
function parse(value: unknown): unknown {
  try {
    return typeof value === 'string' ? JSON.parse(value) : undefined;
  } catch {
    return undefined;
  }
}

function assertClient(client: unknown): asserts client is RedisClient {
  const members = typeof client === 'object' && client !== null ? (client as Record<string, unknown>) : {};
  if (['get', 'set', 'del'].every((name) => typeof members[name] === 'function')) return;
  throw new ConfigurationError({
    option: 'redisStore: client',
    expected: 'a client of the redis package',
    got: describe(client),
    fix: 'Pass the client that createClient(...) returns, after connect().',
  });
}
