import { types } from 'node:util';
import { describe, readOptions, type Rules, seconds, text } from '../options.js';
import { withTimeout } from '../util/timeout.js';
import { commandsOf, type RedisClient, type RedisCommand, textOf } from './redis-client.js';
import { RedisProbe } from './redis-probe.js';
import type { Store } from './store.js';

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
 * lifetime. A command that takes too long rejects, and so does every command while the client has lost its connection.
 *
 * The first use checks that the client sets a key only once and with a lifetime. Until that succeeds, every use rejects and
 * the next one checks again: with a `ConfigurationError` if the client does something else, otherwise with the message of its
 * own error.
 *
 * @throws ConfigurationError for a client that cannot be used, or an option that is unknown or wrong.
 */
export function redisStore(client: RedisClient, options: RedisStoreOptions = {}): Store {
  const given = readOptions<RedisStoreOptions>('redisStore', options, rules);
  const { prefix = 'express-resource-server:', timeout = 0.5 } = given;
  const commands = commandsOf(client);
  const probe = RedisProbe.of(client);
  const send = async (command: RedisCommand): Promise<unknown> => {
    try {
      return textOf(await withTimeout(command(commands), timeout, 'Redis'));
    } catch (error) {
      throw withoutArguments(error);
    }
  };
  const call = async (command: RedisCommand): Promise<unknown> => {
    if (!commands.isConnected(probe.hasPassed))
      throw new Error('the Redis client is not connected: its event "error" has the cause');
    // Each of its commands has the deadline.
    if (!probe.hasPassed) await probe.run(send, prefix);
    return send(command);
  };
  return {
    get: async (key) => parse(await call(({ get }) => get(prefix + key)).catch(withoutWrongType)),
    set: async (key, value, lifetime) => {
      const json = JSON.stringify(value);
      const reply = await call(({ set }) => set(prefix + key, json, milliseconds(lifetime)));
      if (reply !== 'OK') throw new TypeError(`Redis replied to SET with ${describe(reply)} instead of OK`);
    },
    add: async (key, lifetime) => {
      const reply = await call(({ setIfMissing }) => setIfMissing(prefix + key, '1', milliseconds(lifetime)));
      if (reply === 'OK') return true;
      if (reply === null) return false;
      throw new TypeError(`Redis replied to SET with NX with ${describe(reply)} instead of OK or null`);
    },
    delete: async (key) => {
      await call(({ del }) => del(prefix + key));
    },
  };
}

/**
 * An error with the message and the code of another one. Errors of `ioredis` have the arguments of the command as a member,
 * and some errors of Redis quote them: with a SET, these are a value.
 */
function withoutArguments(error: unknown): Error {
  if (!types.isNativeError(error)) return new Error('the Redis client failed');
  const safe = new Error(error.message.replace(/,? with args beginning with.*$/s, ''));
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  return Object.assign(safe, { name: error.name }, code);
}

// Redis requires a whole number of at least 1.
function milliseconds(lifetime: number): number {
  return Math.max(1, Math.ceil(lifetime * 1000));
}

/** A value of another type was not written by this store. It counts as missing and is overwritten. */
function withoutWrongType(error: Error): undefined {
  if (!error.message.startsWith('WRONGTYPE')) throw error;
}

/** A text that is not JSON was not written by this store. It counts as missing and is overwritten. */
function parse(reply: unknown): unknown {
  if (reply === null || reply === undefined) return undefined;
  if (typeof reply !== 'string')
    throw new TypeError(`Redis replied to GET with ${describe(reply)} instead of text or null`);
  try {
    return JSON.parse(reply);
  } catch {
    return undefined;
  }
}
