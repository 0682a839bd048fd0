import { describe, expect, it } from '@jest/globals';
import { memoryStore, redisStore, type Store } from '../../lib/index.js';
import {
  expectAccepted,
  expectProofRejected,
  expectStoreUnavailable,
  present,
  serveDpop,
  createScene,
} from '../support/dpop.js';
import { describeWithRedis, makeClient } from '../support/redis-server.js';
import { simulateTime, untilDeadline } from '../support/time.js';

const scene = createScene();

/** A store whose add() returns this. */
function storeThat(add: () => unknown): Store {
  return { ...memoryStore(), add: add as Store['add'] };
}

// A store may reject with something that is not an error.
const NOTHING = undefined as unknown as Error;
const TEXT = 'down' as unknown as Error;

describe('a replay store that fails', () => {
  it.each<[string, () => unknown]>([
    ['rejects', () => Promise.reject(new Error('ECONNREFUSED 10.0.0.1'))],
    ['rejects with nothing', () => Promise.reject(NOTHING)],
    ['rejects with a string', () => Promise.reject(TEXT)],
    [
      'throws synchronously',
      () => {
        throw new Error('ECONNREFUSED 10.0.0.1');
      },
    ],
  ])('results in 503 and is used again later: it %s', async (_, add) => {
    let isDown = true;
    const good = memoryStore();
    const app = serveDpop(scene.issuer, {
      store: { ...good, add: (...claim) => (isDown ? add() : good.add(...claim)) as Promise<boolean> },
    });
    const proof = await scene.prove();
    await expectStoreUnavailable(app, present(app, scene.token, proof));
    isDown = false;
    await expectAccepted(app, present(app, scene.token, proof));
  });

  it('is called last: an invalid proof is rejected before', async () => {
    const app = serveDpop(scene.issuer, { store: storeThat(() => Promise.reject(new Error('down'))) });
    const bad = await scene.prove({ claims: { htm: 'POST' } });
    await expectProofRejected(app, present(app, scene.token, bad), 'proof_method_mismatch');
    await expectStoreUnavailable(app, present(app, scene.token, await scene.prove()));
  });
});

describe('the result of add() of a replay store', () => {
  it.each([undefined, null, 'OK', 1, 'true', {}, [], [true], 0, ''])('is an error if it is %j', async (result) => {
    const app = serveDpop(scene.issuer, { store: storeThat(() => Promise.resolve(result)) });
    await expectStoreUnavailable(app, present(app, scene.token, await scene.prove()));
  });

  it('causes a rejection as replayed if it is false', async () => {
    const app = serveDpop(scene.issuer, { store: storeThat(() => Promise.resolve(false)) });
    await expectProofRejected(app, present(app, scene.token, await scene.prove()), 'proof_replayed');
  });

  it('accepts the proof if it is true', async () => {
    const app = serveDpop(scene.issuer, { store: storeThat(() => Promise.resolve(true)) });
    await expectAccepted(app, present(app, scene.token, await scene.prove()));
  });
});

describe('a replay store that hangs', () => {
  simulateTime();

  it('results in 503 after the timeout', async () => {
    const app = serveDpop(scene.issuer, { store: storeThat(() => new Promise(() => undefined)) });
    const proof = await scene.prove();
    const start = Date.now();
    await untilDeadline(expectStoreUnavailable(app, present(app, scene.token, proof)));
    expect(Date.now() - start).toBeLessThanOrEqual(2_000);
  });
});

describeWithRedis('proofs in a real Redis server', (redis) => {
  /** APIs that share no memory, like several processes. */
  const createApis = (count: number) => {
    const store = (): Store => redisStore(redis.client, { timeout: 5 });
    return Array.from({ length: count }, () => serveDpop(scene.issuer, { store: store() }));
  };

  it('are accepted once in total', async () => {
    const [one, other] = createApis(2) as [ReturnType<typeof serveDpop>, ReturnType<typeof serveDpop>];
    const proof = await scene.prove();
    await expectAccepted(one, present(one, scene.token, proof));
    await expectProofRejected(other, present(other, scene.token, proof), 'proof_replayed');
    await expectProofRejected(one, present(one, scene.token, proof), 'proof_replayed');
    await expectAccepted(other, present(other, scene.token, await scene.prove()));
  });

  it('are accepted once if they are sent twenty times concurrently', async () => {
    const apps = createApis(4);
    for (let round = 0; round < 5; round++) {
      const proof = await scene.prove();
      const all = await Promise.all(
        Array.from({ length: 5 }, () => apps.map((app) => present(app, scene.token, proof))).flat(),
      );
      expect(all.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(19).fill(401)]);
    }
  });

  it('are stored only as digests with a lifetime', async () => {
    const [app] = createApis(1) as [ReturnType<typeof serveDpop>];
    await expectAccepted(app, present(app, scene.token, await scene.prove({ claims: { jti: 'canary-jti' } })));
    const keys = await redis.client.keys('*');
    expect(keys).toEqual([expect.stringMatching(/^express-resource-server:dpop:[\w-]{43}$/)]);
    const [key = ''] = keys;
    expect(await redis.client.get(key)).toBe('1');
    const left = await redis.client.pTTL(key);
    // The lifetime of the proof, and the tolerance for clocks that are behind.
    expect([left > 55_000, left <= 72_000]).toEqual([true, true]);
  });

  it('cause 503 while it is down, and are accepted once when it is back', async () => {
    const app = serveDpop(scene.issuer, { store: redisStore(redis.client) });
    await expectAccepted(app, present(app, scene.token, await scene.prove()));
    await redis.server.stop();
    const proof = await scene.prove();
    for (let i = 0; i < 3; i++) await expectStoreUnavailable(app, present(app, scene.token, proof));
    const isBack = new Promise((resolve) => redis.client.once('ready', resolve));
    await redis.server.start();
    await isBack;
    await expectAccepted(app, present(app, scene.token, proof));
    await expectProofRejected(app, present(app, scene.token, proof), 'proof_replayed');
  });

  it('cause 503 while it hangs', async () => {
    const client = makeClient(redis.server);
    await client.connect();
    const app = serveDpop(scene.issuer, { store: redisStore(client, { timeout: 0.05 }) });
    await expectAccepted(app, present(app, scene.token, await scene.prove()));
    redis.server.freeze();
    try {
      await expectStoreUnavailable(app, present(app, scene.token, await scene.prove()));
    } finally {
      redis.server.thaw();
      client.destroy();
    }
  });
});
