import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { Redis as Ioredis } from 'ioredis';
import { Redis as Iovalkey } from 'iovalkey';
import { createClient, createClientPool, RESP_TYPES } from 'redis';
import { type RedisClient, redisStore, type Store } from '../../lib/index.js';
import { describeWithRedis, OpenClients } from '../support/redis-server.js';
import { testContract } from '../support/store-contract.js';

const clients = new OpenClients();

const BYTES = { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.SIMPLE_STRING]: Buffer, [RESP_TYPES.NUMBER]: String };

const KINDS: Record<string, (url: string) => RedisClient | Promise<RedisClient>> = {
  'createClient of redis': (url) => clients.connect(createClient({ url })),
  'createClient with RESP 2': (url) => clients.connect(createClient({ url, RESP: 2 })),
  'createClient whose replies are bytes and text': async (url) =>
    (await clients.connect(createClient({ url }))).withTypeMapping(BYTES),
  'createClientPool of redis': (url) => clients.connect(createClientPool({ url })),
  'Redis of ioredis': (url) => clients.add(new Ioredis(url)),
  'Redis of ioredis that connects at the first command': (url) => clients.add(new Ioredis(url, { lazyConnect: true })),
  'Redis of ioredis with pipelining and numbers as text': (url) =>
    clients.add(new Ioredis(url, { enableAutoPipelining: true, stringNumbers: true })),
  'Redis of iovalkey': (url) => clients.add(new Iovalkey(url)),
  'sendCommand of redis': async (url) => {
    const client = await clients.connect(createClient({ url }));
    return { sendCommand: (args) => client.sendCommand(args) };
  },
  'call of ioredis, with replies as bytes': (url) => {
    const client = clients.add(new Ioredis(url));
    return { sendCommand: ([command = '', ...args]) => client.callBuffer(command, ...args) };
  },
};

describeWithRedis('redisStore', (redis) => {
  describe('an error of Redis', () => {
    it.each(Object.entries(KINDS))('contains no value: %s', async (_, make) => {
      const store = redisStore(await make(redis.server.url), { timeout: 5 });
      await store.set('value', 1, 60);
      await redis.client.configSet('maxmemory', '1');
      const error = await store.set('value', { sub: 's3cr3t-marker' }, 60).catch((reason: unknown) => reason);
      await redis.client.configSet('maxmemory', '0');
      expect(error).toMatchObject({ message: expect.stringMatching('^OOM') });
      expect(inspect(error, { depth: 10 })).not.toContain('s3cr3t-marker');
    });

    it('contains no value if Redis quotes the arguments', async () => {
      const client = await clients.connect(createClient({ url: redis.server.url }));
      const store = redisStore({
        sendCommand: ([command = '', ...args]) =>
          client.sendCommand([args[1]?.includes('s3cr3t') === true ? 'SETT' : command, ...args]),
      });
      const error = await store.set('value', 's3cr3t-marker', 60).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ message: "ERR unknown command 'SETT'" });
    });
  });

  describe.each(Object.entries(KINDS))('through %s', (_, make) => {
    it('keeps values and records each key once', async () => {
      const store = redisStore(await make(redis.server.url), { timeout: 5 });
      const added = await Promise.all(Array.from({ length: 20 }, () => store.add('once', 60)));
      expect(added.filter(Boolean)).toHaveLength(1);
      await store.set('value', { list: ['größe'] }, 60);
      expect([await store.get('value'), await store.get('missing')]).toEqual([{ list: ['größe'] }, undefined]);
      await store.delete('once');
      expect(await store.add('once', 60)).toBe(true);
      const keys = await redis.client.keys('*');
      expect(keys.sort()).toEqual(['express-resource-server:once', 'express-resource-server:value']);
      for (const key of keys) expect(await redis.client.pTTL(key)).toBeGreaterThan(50_000);
    });
  });

  describe('through ioredis', () => {
    let store: Store;
    testContract(() => {
      store = redisStore(clients.add(new Ioredis(redis.server.url)), { timeout: 5 });
      return store;
    });

    it('adds the prefix of the client to the prefix of the store', async () => {
      const client = clients.add(new Ioredis(redis.server.url, { keyPrefix: 'app:' }));
      expect(await redisStore(client, { timeout: 5 }).add('a', 60)).toBe(true);
      expect(await redis.client.keys('*')).toEqual(['app:express-resource-server:a']);
    });

    it('rejects immediately while the connection is lost or closed, and works again afterwards', async () => {
      const client = clients.add(new Ioredis(redis.server.url, { retryStrategy: () => 5 }));
      const lost = redisStore(client, { timeout: 5 });
      expect(await lost.add('a', 60)).toBe(true);
      const isClosed = new Promise((resolve) => client.once('close', resolve));
      await redis.server.stop();
      await isClosed;
      await expect(lost.add('a', 60)).rejects.toThrow('the Redis client is not connected');
      const isBack = Promise.all([
        new Promise((resolve) => client.once('ready', resolve)),
        new Promise((resolve) => redis.client.once('ready', resolve)),
      ]);
      await redis.server.start();
      await isBack;
      expect([await lost.add('a', 60), await lost.add('a', 60)]).toEqual([true, false]);
      await client.quit();
      await expect(lost.add('b', 60)).rejects.toThrow(/the Redis client is not connected|Connection is closed/);
    });

    it('waits for the first connection no longer than its timeout', async () => {
      const client = clients.add(new Ioredis('redis://127.0.0.1:1', { retryStrategy: () => 5 }));
      const waiting = redisStore(client, { timeout: 0.02 });
      await expect(waiting.add('a', 60)).rejects.toThrow(/Redis (did not respond|client is not connected)/);
    });
  });
});

describeWithRedis('redisStore through a client that cannot write', (redis) => {
  it('rejects with the reason of Redis', async () => {
    const store = redisStore(redis.client);
    await redis.client.sendCommand(['REPLICAOF', '127.0.0.1', '1']);
    await expect(store.add('a', 60)).rejects.toThrow('READONLY');
    await redis.client.sendCommand(['REPLICAOF', 'NO', 'ONE']);
    expect([await store.add('a', 60), await store.add('a', 60)]).toEqual([true, false]);
  });
});
