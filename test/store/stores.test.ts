import { describe, expect, it } from '@jest/globals';
import { ConfigurationError, memoryStore, type RedisClient, redisStore, type Store } from '../../lib/index.js';
import { describeWithRedis } from '../support/redis-server.js';
import { advance, simulateTime, untilDeadline } from '../support/time.js';

function nested(depth: number): unknown {
  let value: unknown = 'the end';
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { next: value };
  return value;
}

const VALUES: [string, unknown][] = [
  ['an empty object', {}],
  ['integers', { largest: 9_007_199_254_740_991, least: -9_007_199_254_740_991, zero: 0, exp: 1_800_000_000 }],
  ['fractions', [0.1, 1e-9, 1.5e300]],
  ['unicode', { 'größe-東京': '🔑\u0000\u2028\ud83d', rtl: '\u202e' }],
  ['null, booleans and empty values', { a: null, b: false, c: '', d: [], e: {} }],
  ['text', 'text'],
  ['a number', 5],
  ['large claims', { roles: Array.from({ length: 20_000 }, (_, i) => `role-${i}-${'x'.repeat(20)}`) }],
  ['deep nesting', nested(1_000)],
  ['names such as __proto__', JSON.parse('{"__proto__":{"a":1},"constructor":2,"toString":3}')],
];

/** What every store must do. */
function testContract(make: () => Store): void {
  it.each(VALUES)('returns the value that was set: %s', async (_, value) => {
    const store = make();
    await store.set('key', value, 60);
    expect(JSON.stringify(await store.get('key'))).toBe(JSON.stringify(value));
  });

  it('returns undefined for a key that was never set', async () => {
    expect(await make().get('unknown')).toBeUndefined();
  });

  it('returns the last of several values', async () => {
    const store = make();
    await store.set('key', 1, 60);
    await store.set('key', 2, 60);
    expect(await store.get('key')).toBe(2);
  });

  it('returns a value that callers cannot change for others', async () => {
    const store = make();
    const value = { list: [1] };
    await store.set('key', value, 60);
    value.list.push(2);
    const read = (await store.get('key')) as { list: number[] };
    read.list.push(3);
    expect(await store.get('key')).toEqual({ list: [1] });
  });

  it('deletes a value, and ignores a key that does not exist', async () => {
    const store = make();
    await store.set('key', 1, 60);
    await store.delete('key');
    await store.delete('key');
    expect(await store.get('key')).toBeUndefined();
  });

  it('accepts add for exactly one of many callers', async () => {
    const store = make();
    const claims = await Promise.all(Array.from({ length: 100 }, () => store.add('once', 60)));
    expect(claims.filter(Boolean)).toHaveLength(1);
    expect(await store.add('once', 60)).toBe(false);
    expect(await store.add('another', 60)).toBe(true);
  });

  it('accepts a deleted key again', async () => {
    const store = make();
    await store.add('once', 60);
    await store.delete('once');
    expect(await store.add('once', 60)).toBe(true);
  });

  it('returns a value for a key that was added', async () => {
    const store = make();
    await store.add('once', 60);
    expect(await store.get('once')).toBeDefined();
  });

  it('does not add a key that has a value', async () => {
    const store = make();
    await store.set('key', { a: 1 }, 60);
    expect(await store.add('key', 60)).toBe(false);
    expect(await store.get('key')).toEqual({ a: 1 });
  });
}

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
    await redisStore(redis.client, { prefix: 'mine/' }).add('b', 0.02);
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

  it('rejects if the value of the key is not a string in Redis', async () => {
    await redis.client.lPush('express-resource-server:key', 'x');
    await expect(redisStore(redis.client).get('key')).rejects.toThrow('WRONGTYPE');
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
  const hanging: RedisClient = { get: never, set: never, del: never };

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
  };

  it.each([undefined, null, 'redis://localhost', {}, { get: () => 1 }, () => client])(
    'requires a client: not %p',
    (wrong) => {
      expect(() => redisStore(wrong as never)).toThrow(
        /^redisStore: client: expected a client of the redis package, got/,
      );
    },
  );

  it.each<[object]>([[{ prefix: '' }], [{ prefix: 5 }], [{ timeout: 0 }], [{ timeout: 61 }], [{ Prefix: 'a' }]])(
    'rejects the invalid options %p',
    (options) => {
      expect(() => redisStore(client, options)).toThrow(ConfigurationError);
    },
  );

  it.each([
    ['OK', true],
    [null, false],
  ])('reads the response of Redis to add: %p', async (response, isFirst) => {
    const store = redisStore({ ...client, set: () => Promise.resolve(response) });
    await expect(store.add('a', 1)).resolves.toBe(isFirst);
  });

  it.each([undefined, false, true, '', 'QUEUED', 0, 1, {}, ['OK']])(
    'rejects an unknown response of Redis to add: %p',
    async (response) => {
      const store = redisStore({ ...client, set: () => Promise.resolve(response) });
      await expect(store.add('a', 1)).rejects.toThrow('Redis answered a claim with something else than OK or nothing');
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
