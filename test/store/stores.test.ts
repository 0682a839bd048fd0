import { describe, expect, it } from '@jest/globals';
import { ConfigurationError, memoryStore, type RedisClient, redisStore, type Store } from '../../lib/index.js';
import { describeWithRedis } from '../support/redis-server.js';
import { testContract } from '../support/store-contract.js';
import { advance, simulateTime, untilDeadline } from '../support/time.js';

describe('memoryStore', () => {
  testContract(() => memoryStore());

  it('uses the configured clock', async () => {
    let now = 1_000;
    const store = memoryStore({ clock: () => now });
    await store.set('key', 1, 10);
    await store.add('once', 10);
    now += 10;
    expect(await store.get('key')).toBeUndefined();
    expect(await store.add('once', 10)).toBe(true);
  });

  describe('over time', () => {
    simulateTime();

    it('removes a value at the end of its lifetime', async () => {
      const store = memoryStore();
      await store.set('key', 1, 10);
      await store.set('short', 1, 0.5);
      await advance({ seconds: 0.499 });
      expect(await store.get('short')).toBe(1);
      await advance({ seconds: 0.001 });
      expect(await store.get('short')).toBeUndefined();
      await advance({ seconds: 9.499 });
      expect(await store.get('key')).toBe(1);
      await advance({ seconds: 0.001 });
      expect(await store.get('key')).toBeUndefined();
    });

    it('uses the lifetime of the last set', async () => {
      const store = memoryStore();
      await store.set('key', 1, 10);
      await advance({ seconds: 9 });
      await store.set('key', 2, 10);
      await advance({ seconds: 9 });
      expect(await store.get('key')).toBe(2);
    });

    it('accepts a key again at the end of its lifetime, which starts with the first add', async () => {
      const store = memoryStore();
      expect(await store.add('once', 10)).toBe(true);
      await advance({ seconds: 9 });
      expect(await store.add('once', 10)).toBe(false);
      await advance({ seconds: 1 });
      expect(await store.add('once', 10)).toBe(true);
    });
  });

  it('contains at most maxEntries', async () => {
    const store = memoryStore({ maxEntries: 3 });
    for (let i = 0; i < 10; i++) await store.set(`key-${i}`, i, 60);
    const values = await Promise.all(Array.from({ length: 10 }, (_, i) => store.get(`key-${i}`)));
    expect(values.filter((value) => value !== undefined)).toHaveLength(3);
    expect(values[9]).toBe(9);
  });

  it('contains at most maxBytes of values, and rejects a value that is larger', async () => {
    const store = memoryStore({ maxBytes: 100_000 });
    for (let i = 0; i < 20; i++) await store.set(`key-${i}`, 'x'.repeat(10_000), 60);
    const values = await Promise.all(Array.from({ length: 20 }, (_, i) => store.get(`key-${i}`)));
    expect(values.filter((value) => value !== undefined)).toHaveLength(4);
    await expect(store.set('large', 'x'.repeat(50_000), 60)).rejects.toThrow('maxBytes');
    expect(await store.get('large')).toBeUndefined();
  });

  it.each<[object]>([[{ maxEntries: 0 }], [{ maxEntries: '5' }], [{ maxentries: 5 }]])(
    'rejects the invalid options %p',
    (options) => {
      expect(() => memoryStore(options)).toThrow(ConfigurationError);
    },
  );
});

describeWithRedis('redisStore', (redis) => {
  testContract(() => redisStore(redis.client));

  it('adds the prefix and a lifetime to every key', async () => {
    await redisStore(redis.client).set('a', 1, 60);
    await redisStore(redis.client, { prefix: 'mine/' }).add('b', 20.5);
    await redisStore(redis.client, { prefix: 'mine/' }).set('c', 1, 1e-9);
    expect((await redis.client.keys('*')).filter((key) => !key.endsWith('c')).sort()).toEqual([
      'express-resource-server:a',
      'mine/b',
    ]);
    expect(await redis.client.pTTL('express-resource-server:a')).toBeGreaterThan(59_000);
    expect(await redis.client.pTTL('express-resource-server:a')).toBeLessThanOrEqual(60_000);
  });

  it('separates stores with different prefixes', async () => {
    const [one, two] = [redisStore(redis.client, { prefix: '1' }), redisStore(redis.client, { prefix: '2' })];
    await one.set('key', 'one', 60);
    expect(await two.get('key')).toBeUndefined();
    expect(await two.add('key', 60)).toBe(true);
    await two.delete('key');
    expect(await one.get('key')).toBe('one');
  });

  it('returns no value that Redis has removed', async () => {
    const store = redisStore(redis.client);
    await store.set('key', 1, 60);
    await redis.client.pExpireAt('express-resource-server:key', 1);
    expect(await store.get('key')).toBeUndefined();
    expect(await store.add('key', 60)).toBe(true);
  });

  it.each(['', '{', 'undefined', '{"a":1', '\u0001', 'NaN'])(
    'treats a value that is not JSON as absent, and overwrites it: %p',
    async (junk) => {
      await redis.client.set('express-resource-server:key', junk);
      const store = redisStore(redis.client);
      expect(await store.get('key')).toBeUndefined();
      await store.set('key', 1, 60);
      expect(await store.get('key')).toBe(1);
    },
  );

  it('overwrites a value of the key that is not a string in Redis', async () => {
    await redis.client.lPush('express-resource-server:key', 'x');
    const store = redisStore(redis.client);
    await expect(store.get('key')).resolves.toBeUndefined();
    await expect(store.add('key', 10)).resolves.toBe(false);
    await store.set('key', 'value', 10);
    await expect(store.get('key')).resolves.toBe('value');
  });

  it('rejects immediately while the client is not connected', async () => {
    const store = redisStore(redis.client.duplicate());
    const calls = [store.get('a'), store.set('a', 1, 1), store.add('a', 1), store.delete('a')];
    for (const call of calls) await expect(call).rejects.toThrow('the Redis client is not connected');
  });
});

describe('redisStore with a client that never responds', () => {
  simulateTime();
  const never = (): Promise<never> => new Promise(() => undefined);
  const hanging: RedisClient = { get: never, set: never, del: never, pTTL: never };

  it.each<[string, (store: Store) => Promise<unknown>]>([
    ['get', (store) => store.get('a')],
    ['set', (store) => store.set('a', 1, 1)],
    ['add', (store) => store.add('a', 1)],
    ['delete', (store) => store.delete('a')],
  ])('rejects after its timeout: %s', async (_, call) => {
    const waiting = call(redisStore(hanging, { timeout: 3 }));
    waiting.catch(() => undefined);
    const started = Date.now();
    await expect(untilDeadline(waiting)).rejects.toThrow('Redis did not respond within 3 s');
    expect(Date.now() - started).toBe(3_000);
  });
});

describe('redisStore', () => {
  const client: RedisClient = {
    get: () => Promise.resolve(null),
    set: () => Promise.resolve('OK'),
    del: () => Promise.resolve(0),
    pTTL: () => Promise.resolve(-2),
  };

  it.each([undefined, null, 'redis://localhost', {}, { get: () => 1 }, () => client, { sendCommand: 'GET' }])(
    'requires a client: not %p',
    (wrong) => {
      expect(() => redisStore(wrong as never)).toThrow(
        /^redisStore: client: expected a client of redis, ioredis or iovalkey, or { sendCommand }, got/,
      );
    },
  );

  it.each<[object]>([[{ prefix: '' }], [{ prefix: 5 }], [{ timeout: 0 }], [{ timeout: 61 }], [{ Prefix: 'a' }]])(
    'rejects the invalid options %p',
    (options) => {
      expect(() => redisStore(client, options)).toThrow(ConfigurationError);
    },
  );

  it('rejects with the error of the client', async () => {
    const throwing: RedisClient = {
      ...client,
      get: () => {
        throw new Error('closed');
      },
    };
    await expect(redisStore(throwing).get('a')).rejects.toThrow('closed');
  });
});
