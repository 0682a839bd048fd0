import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import supertest from 'supertest';
import { memoryStore } from '../lib/index.js';
import {
  BASE_URL,
  dpopBearer,
  DpopClient,
  expectAdmitted,
  expectProofRefused,
  expectStoreUnavailable,
  now,
  present,
  serveDpop,
  setScene,
} from './dpop.js';
import { serve } from './helpers.js';
import { advance, simulateTime } from './time.js';

const scene = setScene();

simulateTime();

beforeEach(() => {
  // At the turn of a second, where an edge is an edge.
  jest.setSystemTime(now() * 1000 + 1000);
});

describe('a proof', () => {
  it('is taken once', async () => {
    const app = serveDpop(scene.issuer);
    const proof = await scene.prove();
    await expectAdmitted(app, present(app, scene.token, proof));
    for (let i = 0; i < 3; i++) await expectProofRefused(app, present(app, scene.token, proof), 'proof_replayed');
  });

  it('is taken once of twenty at the same time', async () => {
    const app = serveDpop(scene.issuer);
    const proof = await scene.prove();
    const all = await Promise.all(Array.from({ length: 20 }, () => present(app, scene.token, proof)));
    expect(all.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(19).fill(401)]);
  });

  it('may have the jti of another client', async () => {
    const app = serveDpop(scene.issuer);
    const claims = { jti: randomUUID() };
    await expectAdmitted(app, present(app, scene.token, await scene.prove({ claims })));
    const other = await DpopClient.make();
    const bound = await scene.issuer.issue({ cnf: other.cnf });
    await expectAdmitted(app, present(app, bound, await other.prove(bound, { claims })));
  });

  it.each(['1', 'dpop:1', '__proto__', 'constructor', ' ', '\u0000', '🔑', 'x'.repeat(3_000)])(
    'may have a jti such as %j, once',
    async (jti) => {
      const app = serveDpop(scene.issuer);
      for (let i = 0; i < 2; i++) {
        const sent = present(app, scene.token, await scene.prove({ claims: { jti } }));
        if (i === 0) await expectAdmitted(app, sent);
        else await expectProofRefused(app, sent, 'proof_replayed');
      }
    },
  );

  it.each<[string, () => Record<string, unknown>]>([
    ['for another path', () => ({ htu: `${BASE_URL}/orders` })],
    ['made at another time', () => ({ iat: now() - 7 })],
    ['with more in it', () => ({ more: 1 })],
  ])('is not taken with the jti of another of the same client: %s', async (_, changes) => {
    const app = serveDpop(scene.issuer);
    const jti = randomUUID();
    await expectAdmitted(app, present(app, scene.token, await scene.prove({ claims: { jti } })));
    const { htu = `${BASE_URL}/`, ...others } = changes();
    const proof = await scene.prove({ claims: { jti, htu, ...others } });
    const sent = supertest(app).get((htu as string).slice(BASE_URL.length));
    const authorized = sent.set('Authorization', `DPoP ${scene.token}`).set('DPoP', proof);
    await expectProofRefused(app, authorized, 'proof_replayed');
  });

  it('is not taken with the jti of another that went with another token', async () => {
    const app = serveDpop(scene.issuer);
    const claims = { jti: randomUUID() };
    await expectAdmitted(app, present(app, scene.token, await scene.prove({ claims })));
    const other = await scene.issuer.issue({ cnf: scene.client.cnf });
    await expectProofRefused(app, present(app, other, await scene.client.prove(other, { claims })), 'proof_replayed');
  });

  it('is not used up by a request that is refused for another reason', async () => {
    const app = serveDpop(scene.issuer);
    const claims = { jti: randomUUID() };
    const bad = await scene.prove({ claims: { ...claims, htm: 'POST' } });
    await expectProofRefused(app, present(app, scene.token, bad), 'proof_method_mismatch');
    const [header = '', payload = ''] = (await scene.prove({ claims })).split('.');
    const forged = `${header}.${payload}.${'A'.repeat(86)}`;
    await expectProofRefused(app, present(app, scene.token, forged), 'proof_signature_mismatch');
    await expectAdmitted(app, present(app, scene.token, await scene.prove({ claims })));
  });
});

describe('several middlewares', () => {
  it('that are the same one take a proof once per request', async () => {
    const middleware = dpopBearer(scene.issuer, 'required');
    const app = serve(middleware, middleware);
    const proof = await scene.prove();
    await expectAdmitted(app, present(app, scene.token, proof));
    await expectProofRefused(app, present(app, scene.token, proof), 'proof_replayed');
  });

  it('that share a store take a proof once per request', async () => {
    const dpop = { mode: 'required', store: memoryStore() } as const;
    const app = serve(dpopBearer(scene.issuer, dpop), dpopBearer(scene.issuer, dpop));
    const proof = await scene.prove();
    await expectAdmitted(app, present(app, scene.token, proof));
    await expectProofRefused(app, present(app, scene.token, proof), 'proof_replayed');
  });

  it('that share a store take a proof once in all', async () => {
    const store = memoryStore();
    const [one, other] = [serveDpop(scene.issuer, { store }), serveDpop(scene.issuer, { store })];
    const proof = await scene.prove();
    await expectAdmitted(one, present(one, scene.token, proof));
    await expectProofRefused(other, present(other, scene.token, proof), 'proof_replayed');
  });
});

describe('what is remembered of proofs', () => {
  it.each([
    ['made now', 0, [0, 1, 30, 59, 60]],
    ['made long ago', -60, [0]],
    ['made by a clock that is ahead', 5, [0, 5, 59, 60, 64, 65]],
  ])('lasts as long as one would pass that was %s', async (_, offset, times) => {
    const app = serveDpop(scene.issuer);
    const start = now();
    const proof = await scene.prove({ claims: { iat: start + offset } });
    await expectAdmitted(app, present(app, scene.token, proof));
    for (const time of times) {
      await advance({ seconds: start + time - now() });
      await expectProofRefused(app, present(app, scene.token, proof), 'proof_replayed');
    }
    await advance({ seconds: 1 });
    await expectProofRefused(app, present(app, scene.token, proof), 'proof_too_old');
  });

  it('lasts as long as one would pass where the clock is behind by the tolerance', async () => {
    const store = memoryStore();
    const app = serveDpop(scene.issuer, { store });
    const start = now();
    const proof = await scene.prove();
    await expectAdmitted(app, present(app, scene.token, proof));
    // Redis and other processes count their own seconds: what is remembered outlives the window by the tolerance.
    await advance({ seconds: 65 });
    jest.setSystemTime((start + 60) * 1000);
    await expectProofRefused(app, present(app, scene.token, proof), 'proof_replayed');
  });

  it('ends soon after a proof has become too old', async () => {
    const app = serveDpop(scene.issuer, { store: memoryStore({ maxEntries: 1 }) });
    await expectAdmitted(app, present(app, scene.token, await scene.prove()));
    await expectStoreUnavailable(app, present(app, scene.token, await scene.prove()));
    await advance({ seconds: 67 });
    await expectAdmitted(app, present(app, scene.token, await scene.prove()));
  });

  it('is never dropped for want of room', async () => {
    const app = serveDpop(scene.issuer, { store: memoryStore({ maxEntries: 3 }) });
    const proofs = await Promise.all([scene.prove(), scene.prove(), scene.prove()]);
    for (const proof of proofs) await expectAdmitted(app, present(app, scene.token, proof));
    for (let i = 0; i < 10; i++) {
      await expectStoreUnavailable(app, present(app, scene.token, await scene.prove()));
    }
    for (const proof of proofs) await expectProofRefused(app, present(app, scene.token, proof), 'proof_replayed');
  });
});
