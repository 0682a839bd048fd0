import { describe, expect, it } from '@jest/globals';
import { memoryStore, redisStore, type Store } from '../lib/index.js';
import { expectAdmitted, expectProofRefused, expectStoreUnavailable, present, serveDpop, setScene } from './dpop.js';
import { describeWithRedis, makeClient } from './redis-server.js';
import { simulateTime, untilDeadline } from './time.js';

const scene = setScene();

/** A store that answers a claim like this. */
function storeThat(add: () => unknown): Store {
  return { ...memoryStore(), add: add as Store['add'] };
}

// What somebody's store may reject with all the same.
const NOTHING = undefined as unknown as Error;
const TEXT = 'down' as unknown as Error;

describe('a store of proofs that cannot be had', () => {
  it.each<[string, () => unknown]>([
    ['rejects', () => Promise.reject(new Error('ECONNREFUSED 10.0.0.1'))],
    ['rejects with nothing', () => Promise.reject(NOTHING)],
    ['rejects with text', () => Promise.reject(TEXT)],
    [
      'throws at once',
      () => {
        throw new Error('ECONNREFUSED 10.0.0.1');
      },
    ],
  ])('is no fault of the caller’s: it %s', async (_, add) => {
    let isDown = true;
    const good = memoryStore();
    const app = serveDpop(scene.issuer, {
      store: { ...good, add: (...claim) => (isDown ? add() : good.add(...claim)) as Promise<boolean> },
    });
    const proof = await scene.prove();
    await expectStoreUnavailable(app, present(app, scene.token, proof));
    isDown = false;
    await expectAdmitted(app, present(app, scene.token, proof));
  });

  it('is asked last: who presents a bad proof does not hear of it', async () => {
    const app = serveDpop(scene.issuer, { store: storeThat(() => Promise.reject(new Error('down'))) });
    const bad = await scene.prove({ claims: { htm: 'POST' } });
    await expectProofRefused(app, present(app, scene.token, bad), 'proof_method_mismatch');
    await expectStoreUnavailable(app, present(app, scene.token, await scene.prove()));
  });
});

describe('a store of proofs that answers', () => {
  it.each([undefined, null, 'OK', 1, 'true', {}, [], [true], 0, ''])(
    'neither true nor false is gone: %j',
    async (answer) => {
      const app = serveDpop(scene.issuer, { store: storeThat(() => Promise.resolve(answer)) });
      await expectStoreUnavailable(app, present(app, scene.token, await scene.prove()));
    },
  );

  it('false has seen the proof before', async () => {
    const app = serveDpop(scene.issuer, { store: storeThat(() => Promise.resolve(false)) });
    await expectProofRefused(app, present(app, scene.token, await scene.prove()), 'proof_replayed');
  });

  it('true has not', async () => {
    const app = serveDpop(scene.issuer, { store: storeThat(() => Promise.resolve(true)) });
    await expectAdmitted(app, present(app, scene.token, await scene.prove()));
  });
});

describe('a store of proofs that hangs', () => {
  simulateTime();

  it('is given up after its deadline', async () => {
    const app = serveDpop(scene.issuer, { store: storeThat(() => new Promise(() => undefined)) });
    const proof = await scene.prove();
    const start = Date.now();
    await untilDeadline(expectStoreUnavailable(app, present(app, scene.token, proof)));
    expect(Date.now() - start).toBeLessThanOrEqual(2_000);
  });
});

describeWithRedis('proofs in a real Redis server', (redis) => {
  /** Several processes, as far as memory goes. */
  const fleet = (count: number) => {
    const store = (): Store => redisStore(redis.client, { timeout: 5 });
    return Array.from({ length: count }, () => serveDpop(scene.issuer, { store: store() }));
  };

  it('are taken once in all', async () => {
    const [one, other] = fleet(2) as [ReturnType<typeof serveDpop>, ReturnType<typeof serveDpop>];
    const proof = await scene.prove();
    await expectAdmitted(one, present(one, scene.token, proof));
    await expectProofRefused(other, present(other, scene.token, proof), 'proof_replayed');
    await expectProofRefused(one, present(one, scene.token, proof), 'proof_replayed');
    await expectAdmitted(other, present(other, scene.token, await scene.prove()));
  });

  it('are taken once of twenty at the same time', async () => {
    const apps = fleet(4);
    for (let round = 0; round < 5; round++) {
      const proof = await scene.prove();
      const all = await Promise.all(
        Array.from({ length: 5 }, () => apps.map((app) => present(app, scene.token, proof))).flat(),
      );
      expect(all.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(19).fill(401)]);
    }
  });

  it('leave only digests there, which end by themselves', async () => {
    const [app] = fleet(1) as [ReturnType<typeof serveDpop>];
    await expectAdmitted(app, present(app, scene.token, await scene.prove({ claims: { jti: 'canary-jti' } })));
    const keys = await redis.client.keys('*');
    expect(keys).toEqual([expect.stringMatching(/^express-resource-server:dpop:[\w-]{43}$/)]);
    const [key = ''] = keys;
    expect(await redis.client.get(key)).toBe('1');
    const left = await redis.client.pTTL(key);
    // The window, and once more the tolerance for clocks that are behind.
    expect([left > 55_000, left <= 67_000]).toEqual([true, true]);
  });

  it('are answered 503 while it is gone, and taken once again when it is back', async () => {
    const app = serveDpop(scene.issuer, { store: redisStore(redis.client) });
    await expectAdmitted(app, present(app, scene.token, await scene.prove()));
    await redis.server.stop();
    const proof = await scene.prove();
    for (let i = 0; i < 3; i++) await expectStoreUnavailable(app, present(app, scene.token, proof));
    const isBack = new Promise((resolve) => redis.client.once('ready', resolve));
    await redis.server.start();
    await isBack;
    await expectAdmitted(app, present(app, scene.token, proof));
    await expectProofRefused(app, present(app, scene.token, proof), 'proof_replayed');
  });

  it('are answered 503 while it hangs', async () => {
    const client = makeClient(redis.server);
    await client.connect();
    const app = serveDpop(scene.issuer, { store: redisStore(client, { timeout: 0.05 }) });
    await expectAdmitted(app, present(app, scene.token, await scene.prove()));
    redis.server.freeze();
    try {
      await expectStoreUnavailable(app, present(app, scene.token, await scene.prove()));
    } finally {
      redis.server.thaw();
      client.destroy();
    }
  });
});
