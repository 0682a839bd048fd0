import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Redis as Ioredis } from 'ioredis';
import { Redis as Iovalkey } from 'iovalkey';
import { createSentinel } from 'redis';
import { redisStore, type Store } from '../../lib/index.js';
import { describeIfRedisIsInstalled, makeClient, OpenClients } from '../support/redis-server.js';
import { type RedisSentinel, startSentinel } from '../support/redis-topologies.js';

describeIfRedisIsInstalled('redisStore with Sentinel', () => {
  let sentinel: RedisSentinel;
  beforeAll(async () => {
    sentinel = await startSentinel();
  });
  const clients = new OpenClients();
  afterAll(() => sentinel.stop());

  async function connectAll(): Promise<[string, Store][]> {
    const { name, address } = sentinel;
    const official = createSentinel({ name, sentinelRootNodes: [address], scanInterval: 500 });
    const options = { name, sentinels: [address], sentinelRetryStrategy: () => 20, retryStrategy: () => 20 };
    const kinds = {
      redis: await clients.connect(official),
      ioredis: clients.add(new Ioredis(options)),
      iovalkey: clients.add(new Iovalkey(options)),
    };
    return Object.entries(kinds).map(([kind, client]) => [kind, redisStore(client, { timeout: 5 })]);
  }

  it('records keys once before and after a failover, and rejects or waits in between', async () => {
    const stores = await connectAll();
    for (const [kind, store] of stores) {
      expect([await store.add(kind, 60), await store.add(kind, 60)]).toEqual([true, false]);
    }
    const replica = await clients.connect(makeClient(sentinel.replica));
    for (const [kind] of stores) {
      while ((await replica.get(`express-resource-server:${kind}`)) === null) await setImmediate();
    }

    await sentinel.primary.stop();
    await Promise.all(
      stores.map(async ([kind, store]) => {
        const key = await untilRecorded(store, `${kind} after the failover`);
        expect([await store.add(key, 60), await store.add(kind, 60)]).toEqual([false, false]);
      }),
    );
  });
});

/** Records one key after the other until one is recorded. */
async function untilRecorded(store: Store, prefix: string): Promise<string> {
  for (let i = 0; ; i++) {
    const key = `${prefix} ${i}`;
    const [result] = await Promise.allSettled([store.add(key, 60)]);
    if (result.status === 'fulfilled') {
      expect(result.value).toBe(true);
      return key;
    }
    // A client without a connection rejects immediately, and the network needs a turn.
    await setImmediate();
  }
}
