import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import supertest from 'supertest';
import { memoryStore } from '../../lib/index.js';
import {
  BASE_URL,
  dpopBearer,
  DpopClient,
  expectAccepted,
  expectProofRejected,
  expectStoreUnavailable,
  now,
  present,
  serveDpop,
  createScene,
} from '../support/dpop.js';
import { serve } from '../support/helpers.js';
import { advance, simulateTime } from '../support/time.js';

const scene = createScene();

simulateTime();

beforeEach(() => {
  // Starts at a full second, so that the limits of the tests are exact.
  jest.setSystemTime(now() * 1000 + 1000);
});

describe('a proof', () => {
  it('is accepted once', async () => {
    const app = serveDpop(scene.issuer);
    const proof = await scene.prove();
    await expectAccepted(app, present(app, scene.token, proof));
    for (let i = 0; i < 3; i++) await expectProofRejected(app, present(app, scene.token, proof), 'proof_replayed');
  });

  it('is accepted once if it is sent twenty times concurrently', async () => {
    const app = serveDpop(scene.issuer);
    const proof = await scene.prove();
    const all = await Promise.all(Array.from({ length: 20 }, () => present(app, scene.token, proof)));
    expect(all.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(19).fill(401)]);
  });

  it('can have the same jti as a proof of another client', async () => {
    const app = serveDpop(scene.issuer);
    const claims = { jti: randomUUID() };
    await expectAccepted(app, present(app, scene.token, await scene.prove({ claims })));
    const other = await DpopClient.make();
    const bound = await scene.issuer.issue({ cnf: other.cnf });
    await expectAccepted(app, present(app, bound, await other.prove(bound, { claims })));
  });

  it.each(['1', 'dpop:1', '__proto__', 'constructor', ' ', '\u0000', '🔑', 'x'.repeat(3_000)])(
    'can have the jti %j, once',
    async (jti) => {
      const app = serveDpop(scene.issuer);
      for (let i = 0; i < 2; i++) {
        const sent = present(app, scene.token, await scene.prove({ claims: { jti } }));
        if (i === 0) await expectAccepted(app, sent);
        else await expectProofRejected(app, sent, 'proof_replayed');
      }
    },
  );

  it.each<[string, () => Record<string, unknown>]>([
    ['for another path', () => ({ htu: `${BASE_URL}/orders` })],
    ['created at another time', () => ({ iat: now() - 7 })],
    ['with another claim', () => ({ more: 1 })],
  ])('is rejected with the jti of another proof of the client: %s', async (_, changes) => {
    const app = serveDpop(scene.issuer);
    const jti = randomUUID();
    await expectAccepted(app, present(app, scene.token, await scene.prove({ claims: { jti } })));
    const { htu = `${BASE_URL}/`, ...others } = changes();
    const proof = await scene.prove({ claims: { jti, htu, ...others } });
    const sent = supertest(app).get((htu as string).slice(BASE_URL.length));
    const authorized = sent.set('Authorization', `DPoP ${scene.token}`).set('DPoP', proof);
    await expectProofRejected(app, authorized, 'proof_replayed');
  });

  it('is rejected with the jti of a proof for another token', async () => {
    const app = serveDpop(scene.issuer);
    const claims = { jti: randomUUID() };
    await expectAccepted(app, present(app, scene.token, await scene.prove({ claims })));
    const other = await scene.issuer.issue({ cnf: scene.client.cnf });
    await expectProofRejected(app, present(app, other, await scene.client.prove(other, { claims })), 'proof_replayed');
  });

  it('is not recorded if the request is rejected for another reason', async () => {
    const app = serveDpop(scene.issuer);
    const claims = { jti: randomUUID() };
    const bad = await scene.prove({ claims: { ...claims, htm: 'POST' } });
    await expectProofRejected(app, present(app, scene.token, bad), 'proof_method_mismatch');
    const [header = '', payload = ''] = (await scene.prove({ claims })).split('.');
    const forged = `${header}.${payload}.${'A'.repeat(86)}`;
    await expectProofRejected(app, present(app, scene.token, forged), 'proof_signature_mismatch');
    await expectAccepted(app, present(app, scene.token, await scene.prove({ claims })));
  });
});

describe('several middlewares', () => {
  it('that are identical record a proof once per request', async () => {
    const middleware = dpopBearer(scene.issuer, 'required');
    const app = serve(middleware, middleware);
    const proof = await scene.prove();
    await expectAccepted(app, present(app, scene.token, proof));
    await expectProofRejected(app, present(app, scene.token, proof), 'proof_replayed');
  });

  it('with a shared store record a proof once per request', async () => {
    const dpop = { mode: 'required', store: memoryStore() } as const;
    const app = serve(dpopBearer(scene.issuer, dpop), dpopBearer(scene.issuer, dpop));
    const proof = await scene.prove();
    await expectAccepted(app, present(app, scene.token, proof));
    await expectProofRejected(app, present(app, scene.token, proof), 'proof_replayed');
  });

  it('with a shared store accept a proof once in total', async () => {
    const store = memoryStore();
    const [one, other] = [serveDpop(scene.issuer, { store }), serveDpop(scene.issuer, { store })];
    const proof = await scene.prove();
    await expectAccepted(one, present(one, scene.token, proof));
    await expectProofRejected(other, present(other, scene.token, proof), 'proof_replayed');
  });
});

describe('the record of a used proof', () => {
  it.each([
    ['a current proof', 0, [0, 1, 30, 59, 60]],
    ['an old proof', -60, [0]],
    ['a proof of a clock that is ahead', 5, [0, 5, 59, 60, 64, 65]],
  ])('lasts as long as the proof is valid: %s', async (_, offset, times) => {
    const app = serveDpop(scene.issuer);
    const start = now();
    const proof = await scene.prove({ claims: { iat: start + offset } });
    await expectAccepted(app, present(app, scene.token, proof));
    for (const time of times) {
      await advance({ seconds: start + time - now() });
      await expectProofRejected(app, present(app, scene.token, proof), 'proof_replayed');
    }
    await advance({ seconds: 1 });
    await expectProofRejected(app, present(app, scene.token, proof), 'proof_too_old');
  });

  it('lasts long enough for a process whose clock is behind by the tolerance', async () => {
    const store = memoryStore();
    const app = serveDpop(scene.issuer, { store });
    const start = now();
    const proof = await scene.prove();
    await expectAccepted(app, present(app, scene.token, proof));
    // Redis and other processes have their own clocks, so the record outlives the proof by the tolerance.
    await advance({ seconds: 65 });
    jest.setSystemTime((start + 60) * 1000);
    await expectProofRejected(app, present(app, scene.token, proof), 'proof_replayed');
  });

  it('ends soon after the proof is too old', async () => {
    const app = serveDpop(scene.issuer, { store: memoryStore({ maxEntries: 1 }) });
    await expectAccepted(app, present(app, scene.token, await scene.prove()));
    await expectStoreUnavailable(app, present(app, scene.token, await scene.prove()));
    await advance({ seconds: 72 });
    await expectAccepted(app, present(app, scene.token, await scene.prove()));
  });

  it('is never evicted from a full store', async () => {
    const app = serveDpop(scene.issuer, { store: memoryStore({ maxEntries: 3 }) });
    const proofs = await Promise.all([scene.prove(), scene.prove(), scene.prove()]);
    for (const proof of proofs) await expectAccepted(app, present(app, scene.token, proof));
    for (let i = 0; i < 10; i++) {
      await expectStoreUnavailable(app, present(app, scene.token, await scene.prove()));
    }
    for (const proof of proofs) await expectProofRejected(app, present(app, scene.token, proof), 'proof_replayed');
  });
});
