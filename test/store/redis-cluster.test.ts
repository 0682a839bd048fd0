import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Cluster as IoredisCluster } from 'ioredis';
import { Cluster as IovalkeyCluster } from 'iovalkey';
import { createClient, createCluster } from 'redis';
import { type RedisClient, redisStore } from '../../lib/index.js';
import { describeIfRedisIsInstalled, OpenClients } from '../support/redis-server.js';
import { type RedisCluster, startCluster } from '../support/redis-topologies.js';

describeIfRedisIsInstalled('redisStore with a Redis Cluster of three masters', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  const clients = new OpenClients();
  afterAll(() => cluster.stop());

  const official = () => {
    const rootNodes = cluster.addresses.map(({ host, port }) => ({ url: `redis://${host}:${port}` }));
    return clients.connect(createCluster({ rootNodes }));
  };
  const kinds: Record<string, () => RedisClient | Promise<RedisClient>> = {
    'createCluster of redis': official,
    'Cluster of ioredis': () => clients.add(new IoredisCluster([...cluster.addresses])),
    'Cluster of ioredis with a prefix and reads from replicas': () =>
      clients.add(new IoredisCluster([...cluster.addresses], { keyPrefix: 'app:', scaleReads: 'slave' })),
    'Cluster of iovalkey': () => clients.add(new IovalkeyCluster([...cluster.addresses])),
    'a function that sends commands': async () => {
      const client = await official();
      return { sendCommand: (args) => client.sendCommand(args[1], false, args) };
    },
  };

  describe.each(Object.entries(kinds))('through %s', (name, make) => {
    it('records each of many keys once, on all masters', async () => {
      const store = redisStore(await make(), { timeout: 5 });
      const keys = Array.from({ length: 30 }, (_, i) => `${name} ${i}`);
      const add = () => Promise.all(keys.map((key) => store.add(key, 60)));
      expect(await add()).toEqual(keys.map(() => true));
      expect(await add()).toEqual(keys.map(() => false));
    });

    it('returns and deletes what was set', async () => {
      const store = redisStore(await make(), { timeout: 5 });
      await store.set(name, { list: ['größe'] }, 60);
      expect(await store.get(name)).toEqual({ list: ['größe'] });
      await store.delete(name);
      expect(await store.get(name)).toBeUndefined();
    });
  });

  it('rejects through a client for one server, with the reason that Redis returns', async () => {
    const [{ host, port } = { host: '', port: 0 }] = cluster.addresses;
    const client = await clients.connect(createClient({ url: `redis://${host}:${port}` }));
    const store = redisStore(client, { timeout: 5 });
    const results = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => store.add(`one server ${i}`, 60)));
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []));
    expect(reasons).not.toEqual([]);
    for (const reason of reasons) expect(reason).toContain('MOVED');
  });
});
