import { describe, expect, it } from '@jest/globals';
import {
  type BearerOptions,
  ConfigurationError,
  type NodeRedisClient,
  type RedisClient,
  redisStore,
  UpstreamError,
} from '../../lib/index.js';
import {
  createScene,
  dpopBearer,
  expectAccepted,
  expectStoreUnavailable,
  present,
  serveDpop,
} from '../support/dpop.js';
import { serve } from '../support/helpers.js';
import { type Client, describeWithRedis, makeClient } from '../support/redis-server.js';
import { advance, simulateTime } from '../support/time.js';

/** The functions of `redis` on a real server, some of them replaced. */
function clientWith(client: Client, changes: object): RedisClient {
  const own: NodeRedisClient = {
    get: (key) => client.get(key),
    set: (key, value, options) => client.set(key, value, options),
    del: (keys) => client.del(keys),
    pTTL: (key) => client.pTTL(key),
  };
  return { ...own, ...changes };
}

const WRONG: Record<string, (client: Client) => { client: unknown; says: string }> = {
  'whose set ignores all options': (client) => ({
    client: clientWith(client, { set: (key: string, value: string) => client.set(key, value) }),
    says: 'a client that ignores NX and sets the same key twice',
  }),
  'of another package, whose options have other names': (client) => ({
    client: {
      get: (key: string) => client.get(key),
      set: (key: string, value: string, { px, nx }: { px?: number; nx?: boolean }) =>
        client.set(key, value, { ...(px === undefined ? {} : { PX: px }), ...(nx === true ? { NX: true } : {}) }),
      del: (...keys: string[]) => client.del(keys.flat()),
      pttl: (key: string) => client.pTTL(key),
    },
    says: 'a client that ignores NX and sets the same key twice',
  }),
  'whose set ignores NX': (client) => ({
    client: clientWith(client, {
      set: (key: string, value: string, { PX }: { PX: number }) => client.set(key, value, { PX }),
    }),
    says: 'a client that ignores NX and sets the same key twice',
  }),
  'whose set ignores PX': (client) => ({
    client: clientWith(client, {
      set: (key: string, value: string) => client.set(key, value, { NX: true }),
    }),
    says: 'a client that ignores PX: PTTL returns -1 instead of at most 60000',
  }),
  'whose set takes milliseconds for seconds': (client) => ({
    client: clientWith(client, {
      set: (key: string, value: string, { PX }: { PX: number }) => client.set(key, value, { EX: PX, NX: true }),
    }),
    says: 'a client that ignores PX: PTTL returns',
  }),
  'that cannot read lifetimes': (client) => ({
    client: clientWith(client, { pTTL: undefined }),
    says: 'a client that ignores PX: PTTL returns undefined',
  }),
  'that returns true instead of OK': (client) => ({
    client: clientWith(client, {
      set: async (...args: Parameters<typeof client.set>) => (await client.set(...args)) === 'OK',
    }),
    says: 'a client that returns true instead of "OK" for SET',
  }),
  'that returns nothing instead of null': (client) => ({
    client: clientWith(client, {
      set: async (...args: Parameters<typeof client.set>) => (await client.set(...args)) ?? undefined,
    }),
    says: 'a client that returns undefined instead of null for SET with NX',
  }),
  'with callbacks': (client) => ({
    client: client.legacy(),
    says: 'a client that returns undefined instead of null for a missing key',
  }),
  'that is a transaction': (client) => ({
    client: client.multi(),
    says: 'a client that returns an object of the class Class instead of null for a missing key',
  }),
  'that queues commands for a transaction': (client) => ({
    client: {
      sendCommand: async (args: string[]) => {
        await client.sendCommand(['MULTI']);
        const reply = await client.sendCommand(args);
        await client.sendCommand(['DISCARD']);
        return reply;
      },
    },
    says: 'a client that returns "QUEUED" instead of null for a missing key',
  }),
  'that leaves out the last arguments': (client) => ({
    client: { sendCommand: (args: string[]) => client.sendCommand(args.slice(0, 5)) },
    says: 'a client that ignores NX and sets the same key twice',
  }),
};

const scene = createScene();

describeWithRedis('redisStore', (redis) => {
  describe.each(Object.entries(WRONG))('with a client %s', (_, make) => {
    it('rejects every use, says why, and leaves nothing in Redis', async () => {
      const { client, says } = make(redis.client);
      const store = redisStore(client as RedisClient, { timeout: 5 });
      const uses = [
        () => store.add('a', 60),
        () => store.get('a'),
        () => store.set('a', 1, 60),
        () => store.delete('a'),
      ];
      for (const use of uses) {
        const error: unknown = await use().catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(ConfigurationError);
        expect(String(error)).toContain(`, got ${says}`);
      }
      expect(await redis.client.keys('*')).toEqual([]);
    });

    it('results in 503 for requests with DPoP proofs, and the operator sees the reason', async () => {
      const { client, says } = make(redis.client);
      const seen: unknown[] = [];
      const store = redisStore(client as RedisClient, { timeout: 5 });
      const onRejection: BearerOptions['onRejection'] = (error) => seen.push(error);
      const app = serve(dpopBearer(scene.issuer, { mode: 'required', store }, { onRejection }));
      const proof = await scene.prove();
      for (let i = 0; i < 2; i++) await expectStoreUnavailable(app, present(app, scene.token, proof));
      expect(seen).toHaveLength(2);
      for (const error of seen) {
        expect(error).toBeInstanceOf(UpstreamError);
        expect(String((error as UpstreamError).cause)).toContain(says);
      }
    });
  });

  it('checks again after Redis was down at the first use', async () => {
    const client = makeClient(redis.server);
    await client.connect();
    const app = serveDpop(scene.issuer, { store: redisStore(client) });
    await redis.server.stop();
    const proof = await scene.prove();
    await expectStoreUnavailable(app, present(app, scene.token, proof));
    const isBack = Promise.all(
      [client, redis.client].map((each) => new Promise((resolve) => each.once('ready', resolve))),
    );
    await redis.server.start();
    await isBack;
    await expectAccepted(app, present(app, scene.token, proof));
    client.destroy();
  });

  it('checks once, also if the first requests arrive together', async () => {
    const commands: string[] = [];
    const sendCommand = (args: string[]): Promise<unknown> => {
      commands.push(args[1]?.includes(':probe:') === true ? 'probe' : (args[0] ?? ''));
      return redis.client.sendCommand(args);
    };
    const store = redisStore({ sendCommand }, { timeout: 5 });
    await Promise.all(Array.from({ length: 10 }, (_, i) => store.add(`key ${i}`, 60)));
    await store.add('another', 60);
    expect(commands).toEqual([...Array<string>(5).fill('probe'), ...Array<string>(11).fill('SET')]);
  });

  it('accepts a lifetime that a replica has only after a while', async () => {
    let reads = 0;
    const client = clientWith(redis.client, {
      pTTL: (key: string) => (++reads < 3 ? Promise.resolve(-2) : redis.client.pTTL(key)),
    });
    expect(await redisStore(client, { timeout: 5 }).add('a', 60)).toBe(true);
  });

  describe('as time passes', () => {
    simulateTime();

    it('checks a client that was wrong again, after a pause', async () => {
      let isWrong = true;
      let calls = 0;
      const client = clientWith(redis.client, {
        set: (key: string, value: string, options: { PX: number; NX?: true }) => {
          calls++;
          return redis.client.set(key, value, isWrong ? {} : options);
        },
      });
      const store = redisStore(client, { timeout: 5 });
      await expect(store.add('a', 60)).rejects.toThrow(ConfigurationError);
      expect(calls).toBe(2);
      isWrong = false;
      await expect(store.add('a', 60)).rejects.toThrow(ConfigurationError);
      expect(calls).toBe(2);
      await advance({ seconds: 1 });
      expect([await store.add('a', 60), await store.add('a', 60)]).toEqual([true, false]);
    });
  });
});

describeWithRedis('a reply that is not expected after the check', (redis) => {
  it.each([undefined, false, true, '', 'QUEUED', 0, 1, {}, ['OK']])('is an error: %p', async (reply) => {
    let isStrange = false;
    const client: RedisClient = {
      sendCommand: (args) => (isStrange ? Promise.resolve(reply) : redis.client.sendCommand(args)),
    };
    const store = redisStore(client, { timeout: 5 });
    await store.add('a', 60);
    isStrange = true;
    await expect(store.add('b', 60)).rejects.toThrow(/^Redis replied to SET with NX with .* instead of OK or null$/);
    await expect(store.set('b', 1, 60)).rejects.toThrow(/^Redis replied to SET with .* instead of OK$/);
    if (reply !== undefined && typeof reply !== 'string')
      await expect(store.get('b')).rejects.toThrow(/^Redis replied to GET with .* instead of text or null$/);
  });
});
