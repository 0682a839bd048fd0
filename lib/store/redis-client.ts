import { ConfigurationError } from '../errors.js';
import { describe } from '../options.js';
import { isPlainObject } from '../util/is-plain-object.js';

/** States of a client of `ioredis` before it is connected for the first time. */
const STARTING = new Set(['wait', 'connecting', 'connect']);

/** The members that are used of a client of `redis`: `createClient`, `createClientPool`, `createCluster`, `createSentinel`. */
export interface NodeRedisClient {
  get(key: string): Promise<unknown>;
  set(key: string, value: string, options: { PX: number; NX?: true }): Promise<unknown>;
  del(keys: string | string[]): Promise<unknown>;
  pTTL(key: string): Promise<unknown>;
  /** `false` while the client is not connected; commands would wait in a queue. */
  readonly isReady?: boolean | undefined;
  /** `false` before the client connects, and after it is closed. */
  readonly isOpen?: boolean | undefined;
}

/** The members that are used of a client of `ioredis` or `iovalkey`: `Redis`, `Cluster`. */
export interface IoredisClient {
  get(key: string): Promise<unknown>;
  set(key: string, value: string, px: 'PX', milliseconds: number): Promise<unknown>;
  // eslint-disable-next-line @typescript-eslint/unified-signatures -- no overload of ioredis has an optional 'NX'
  set(key: string, value: string, px: 'PX', milliseconds: number, nx: 'NX'): Promise<unknown>;
  del(key: string): Promise<unknown>;
  pttl(key: string): Promise<unknown>;
  /** `'ready'` while the client is connected. */
  readonly status: string;
}

/** Any other client: a function that sends one command and returns the reply of Redis. */
export interface RedisCommandSender {
  /** `args` is the command with its arguments, such as `['SET', 'key', 'value', 'PX', '60000', 'NX']`. */
  sendCommand(args: string[]): Promise<unknown>;
}

/** What `redisStore` accepts. */
export type RedisClient = NodeRedisClient | IoredisClient | RedisCommandSender;

/** The commands of a store, the same for every client. Each returns the reply of the client. */
export interface RedisCommands {
  /** `false` if a command would wait for a connection that was lost. `wasUsed`: the client was connected before. */
  readonly isConnected: (wasUsed: boolean) => boolean;
  readonly get: (key: string) => Promise<unknown>;
  /** The lifetime is in whole milliseconds, 1 or more. */
  readonly set: (key: string, value: string, lifetime: number) => Promise<unknown>;
  readonly setIfMissing: (key: string, value: string, lifetime: number) => Promise<unknown>;
  readonly del: (key: string) => Promise<unknown>;
  /** `del` for a client that may not be what it seems. */
  readonly discard: (key: string) => Promise<unknown>;
  readonly pttl: (key: string) => Promise<unknown>;
}

/** One command, whatever the client is. */
export type RedisCommand = (commands: RedisCommands) => Promise<unknown>;

/**
 * Recognizes a client by its shape: a client of `ioredis` has a `status`, which is text; a client of `redis` has none. Whether
 * its commands do what they should is checked by `RedisProbe`.
 *
 * @throws ConfigurationError for a value that is not a client.
 */
export function commandsOf(client: unknown): RedisCommands {
  const given = withPromises(client);
  if (isIoredis(given)) return ioredisCommands(given);
  if (isNodeRedis(given)) return nodeRedisCommands(given);
  if (isSender(given)) return senderCommands(given);
  throw clientError(describe(client));
}

/** A reply that is text: clients can be configured to return bytes. All other replies are returned as they are. */
export function textOf(reply: unknown): unknown {
  return reply instanceof Uint8Array ? Buffer.from(reply).toString() : reply;
}

/** The error for a client that cannot be used. */
export function clientError(got: string): ConfigurationError {
  return new ConfigurationError({
    option: 'redisStore: client',
    expected: 'a client of redis, ioredis or iovalkey, or { sendCommand }',
    got,
    fix: 'For another client, pass { sendCommand: (args) => … }, a function that sends one command and returns the reply.',
  });
}

function ioredisCommands(client: IoredisClient): RedisCommands {
  return {
    // A client that connects for the first time is called: with `lazyConnect`, only a command makes it connect.
    isConnected: (wasUsed) => client.status === 'ready' || (!wasUsed && STARTING.has(client.status)),
    get: (key) => client.get(key),
    set: (key, value, lifetime) => client.set(key, value, 'PX', lifetime),
    setIfMissing: (key, value, lifetime) => client.set(key, value, 'PX', lifetime, 'NX'),
    del: (key) => client.del(key),
    discard: (key) => client.del(key),
    pttl: (key) => client.pttl(key),
  };
}

function nodeRedisCommands(client: NodeRedisClient): RedisCommands {
  return {
    // A pool has no `isReady`, and a cluster of version 4 has neither.
    isConnected: () => client.isReady ?? client.isOpen ?? true,
    get: (key) => client.get(key),
    set: (key, value, lifetime) => client.set(key, value, { PX: lifetime }),
    setIfMissing: (key, value, lifetime) => client.set(key, value, { PX: lifetime, NX: true }),
    del: (key) => client.del(key),
    // In valkey-glide, del('abc') deletes the keys a, b and c. There and here, an array is an array of keys.
    discard: (key) => client.del([key]),
    pttl: (key) => (has(client, 'pTTL') ? client.pTTL(key) : Promise.resolve(undefined)),
  };
}

function senderCommands(sender: RedisCommandSender): RedisCommands {
  return {
    isConnected: () => true,
    get: (key) => sender.sendCommand(['GET', key]),
    set: (key, value, lifetime) => sender.sendCommand(['SET', key, value, 'PX', String(lifetime)]),
    setIfMissing: (key, value, lifetime) => sender.sendCommand(['SET', key, value, 'PX', String(lifetime), 'NX']),
    del: (key) => sender.sendCommand(['DEL', key]),
    discard: (key) => sender.sendCommand(['DEL', key]),
    pttl: (key) => sender.sendCommand(['PTTL', key]),
  };
}

/** A client of `redis` 4 in `legacyMode` has functions with callbacks; its `v4` has the same functions with promises. */
function withPromises(client: unknown): unknown {
  const isLegacy = isPlainObject(client) && isPlainObject(client.options) && client.options.legacyMode === true;
  return isLegacy ? client.v4 : client;
}

function isIoredis(client: unknown): client is IoredisClient {
  return has(client, 'get', 'set', 'del', 'pttl') && typeof (client as { status?: unknown }).status === 'string';
}

function isNodeRedis(client: unknown): client is NodeRedisClient {
  return has(client, 'get', 'set', 'del');
}

function isSender(client: unknown): client is RedisCommandSender {
  return has(client, 'sendCommand');
}

function has(client: unknown, ...names: string[]): boolean {
  return isPlainObject(client) && names.every((name) => typeof client[name] === 'function');
}
