import { describe, expect, it } from '@jest/globals';
import { type IntrospectionVerifierOptions, memoryStore, type Store } from '../../lib/index.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import { cachedResult, startIssuer, verifyAsync } from '../support/helpers.js';
import { movableClock, verifierFor } from '../support/introspection.js';
import { eventually, simulateTime, untilDeadline } from '../support/time.js';

/** Several processes, as far as memory goes: each verifier has its own, and all share one store. */
async function fleet(store: Store = memoryStore(), options: Partial<IntrospectionVerifierOptions> = {}) {
  const issuer = await startIssuer();
  const time = movableClock(issuer.now);
  const another = () => verifierFor(issuer, { store, clock: time.clock, ...options });
  return { issuer, time, store, another };
}

/** Keeps the next answer about a token back until told. */
function holdBack(issuer: TestIssuer, token: string): () => void {
  let release = (): void => undefined;
  issuer.introspection.failFor(token, (res) => {
    const body = JSON.stringify({ active: true, aud: issuer.audience });
    release = () => res.setHeader('Content-Type', 'application/json').end(body);
  });
  return () => {
    release();
  };
}

describe('results in a store', () => {
  it('are of use to a process that has never asked', async () => {
    const { issuer, another } = await fleet();
    const token = issuer.issueOpaque({ scope: 'a b', tenant: { id: 9_007_199_254_740_991 } });
    const first = await another().verify(token);
    const second = await another().verify(token);
    expect(second).toEqual(first);
    expect(issuer.requests.introspection).toBe(1);
  });

  it('are there for refusals too', async () => {
    const { issuer, another } = await fleet();
    for (let i = 0; i < 3; i++) await expect(another().verify('garbage')).rejects.toMatchObject({ reason: 'inactive' });
    expect(issuer.requests.introspection).toBe(1);
  });

  it('are not shared with an API of another audience', async () => {
    const { issuer, another, store, time } = await fleet();
    const token = issuer.issueOpaque();
    await another().verify(token);
    const other = verifierFor(issuer, { store, clock: time.clock, audience: 'another' });
    await expect(other.verify(token)).rejects.toMatchObject({ reason: 'audience_mismatch' });
    expect(issuer.requests.introspection).toBe(2);
  });

  it.each<[string, Partial<IntrospectionVerifierOptions>]>([
    ['asks as another client', { clientId: 'other' }],
    ['asks elsewhere', { issuer: 'https://elsewhere.example.com' }],
    ['wants signed answers', { signedResponse: true }],
  ])('are not for an API that %s', async (_, options) => {
    const { issuer, store, time } = await fleet();
    const { introspectionEndpoint } = issuer;
    const token = issuer.issueOpaque();
    await verifierFor(issuer, { store, clock: time.clock, introspectionEndpoint }).verify(token);
    const other = verifierFor(issuer, { store, clock: time.clock, introspectionEndpoint, ...options });
    await verifyAsync(other, token).catch(() => undefined);
    expect(issuer.requests.introspection).toBe(2);
    await other.close();
  });

  it('end after cache.maxAge, counted from when the server was asked, in all processes together', async () => {
    const { issuer, time, another } = await fleet(memoryStore(), { cache: { maxAge: 60 } });
    const token = issuer.issueOpaque();
    await another().verify(token);
    time.now += 59;
    const late = another();
    await late.verify(token);
    issuer.revoke(token);
    time.now += 1;
    expect(cachedResult(late, token)).toBeUndefined();
    await expect(late.verify(token)).rejects.toMatchObject({ reason: 'inactive' });
  });

  it('are asked about once by many processes at the same time', async () => {
    const { issuer, another } = await fleet();
    const token = issuer.issueOpaque();
    await Promise.all(Array.from({ length: 20 }, () => verifyAsync(another(), token)));
    expect(issuer.requests.introspection).toBe(1);
  });

  it('are looked for once more by who has waited for its turn', async () => {
    const memory = memoryStore();
    let before = (): Promise<unknown> => Promise.resolve();
    // Between a look that finds nothing and the claim, another process asks and is done.
    const store: Store = {
      ...memory,
      add: async (key, lifetime) => {
        const first = before;
        before = () => Promise.resolve();
        await first();
        return memory.add(key, lifetime);
      },
    };
    const { issuer, another } = await fleet(store);
    const token = issuer.issueOpaque();
    before = () => verifyAsync(another(), token);
    await another().verify(token);
    expect(issuer.requests.introspection).toBe(1);
  });

  it('do not depend on a process that dies while it asks', async () => {
    const memory = memoryStore();
    const { issuer, another } = await fleet({ ...memory, add: () => Promise.resolve(false) }, { timeout: 0.5 });
    await expect(another().verify(issuer.issueOpaque())).resolves.toBeDefined();
  });
});

describe('invalidate, where results are shared', () => {
  it('reaches all processes within 5 seconds', async () => {
    const { issuer, time, another } = await fleet();
    const [here, there] = [another(), another()];
    const token = issuer.issueOpaque();
    await Promise.all([here.verify(token), there.verify(token)]);
    issuer.revoke(token);
    await here.invalidate(token);
    await expect(here.verify(token)).rejects.toMatchObject({ reason: 'inactive' });
    time.now += 5;
    expect(cachedResult(there, token)).toBeUndefined();
    await expect(there.verify(token)).rejects.toMatchObject({ reason: 'inactive' });
  });

  it.each(['this process', 'another process'])('is not undone by a question that %s has under way', async (which) => {
    const { issuer, time, another } = await fleet();
    const [asking, other] = [another(), another()];
    const token = issuer.issueOpaque();
    const release = holdBack(issuer, token);
    const running = asking.verify(token);
    await eventually('the question is put', () => issuer.introspection.timesAsked(token) === 1);
    await (which === 'this process' ? asking : other).invalidate(token);
    release();
    await running;
    time.now += 5;
    issuer.introspection.failFor(token, (res) => {
      res.setHeader('Content-Type', 'application/json').end('{"active":false}');
    });
    for (const verifier of [asking, other, another()]) {
      await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'inactive' });
    }
  });

  it('says so where the store cannot be told', async () => {
    const broken: Store = {
      ...memoryStore(),
      set: () => Promise.reject(new Error('gone')),
      delete: () => Promise.reject(new Error('gone')),
    };
    const { another } = await fleet(broken);
    await expect(another().invalidate('token')).rejects.toThrow('gone');
  });

  it('drops what this process remembers all the same', async () => {
    const memory = memoryStore();
    let isGone = false;
    const guard = <T>(call: () => Promise<T>): Promise<T> => (isGone ? Promise.reject(new Error('gone')) : call());
    const { issuer, another } = await fleet({
      get: (key) => guard(() => memory.get(key)),
      set: (key, value, lifetime) => guard(() => memory.set(key, value, lifetime)),
      add: (key, lifetime) => guard(() => memory.add(key, lifetime)),
      delete: (key) => guard(() => memory.delete(key)),
    });
    const verifier = another();
    const token = issuer.issueOpaque();
    await verifier.verify(token);
    isGone = true;
    await expect(verifier.invalidate(token)).rejects.toThrow('gone');
    expect(cachedResult(verifier, token)).toBeUndefined();
  });
});

describe('what is in a store', () => {
  const now = Math.floor(Date.now() / 1000);
  const response = { active: true, aud: 'https://api.example.com', client_id: 'forged', exp: now + 600 };
  const saved = { version: 1, response, introspectedAt: now };

  /** A store in which every key has that value. */
  async function verifyWith(value: unknown) {
    const memory = memoryStore();
    const { issuer, time, another } = await fleet({ ...memory, get: () => Promise.resolve(value) });
    time.now = now;
    const token = issuer.issueOpaque({ client_id: 'asked' });
    const outcome = await verifyAsync(another(), token)
      .then(({ clientId }) => clientId)
      .catch((error: unknown) => (error as { reason?: string }).reason);
    return { outcome, asked: issuer.requests.introspection };
  }

  it('is believed as it was saved', async () => {
    expect(await verifyWith(saved)).toEqual({ outcome: 'forged', asked: 0 });
  });

  it.each<[string, unknown]>([
    ['another version', { ...saved, version: 2 }],
    ['no version', { response, introspectedAt: now }],
    ['a version that is text', { ...saved, version: '1' }],
    ['active as text', { ...saved, response: { ...response, active: 'true' } }],
    ['active as a number', { ...saved, response: { ...response, active: 1 } }],
    ['no active', { ...saved, response: { ...response, active: undefined } }],
    ['no response', { version: 1, introspectedAt: now }],
    ['a response that is null', { ...saved, response: null }],
    ['a response that is an array', { ...saved, response: [response] }],
    ['a response that is text', { ...saved, response: JSON.stringify(response) }],
    ['an array', [saved]],
    ['text', JSON.stringify(saved)],
    ['a number', 1],
    ['true', true],
    ['null', null],
    ['no introspectedAt', { version: 1, response }],
    ['introspectedAt as text', { ...saved, introspectedAt: String(now) }],
    ['introspectedAt that is infinite', { ...saved, introspectedAt: Number.POSITIVE_INFINITY }],
    ['introspectedAt that is no number', { ...saved, introspectedAt: Number.NaN }],
    ['introspectedAt far in the future', { ...saved, introspectedAt: now + 3_600 }],
    ['introspectedAt too long ago', { ...saved, introspectedAt: now - 60 }],
    ['an exp that is over', { ...saved, response: { ...response, exp: now - 1 } }],
  ])('is not believed, and the server asked, where it is %s', async (_, value) => {
    expect(await verifyWith(value)).toEqual({ outcome: 'asked', asked: 1 });
  });

  it.each<[string, object, string]>([
    ['another audience', { aud: 'another' }, 'audience_mismatch'],
    ['no audience', { aud: undefined }, 'audience_missing'],
    ['another issuer', { iss: 'https://elsewhere.example.com' }, 'issuer_mismatch'],
    ['a time to come', { nbf: now + 3_600 }, 'not_yet_valid'],
    ['exp as text', { exp: '9999999999' }, 'claim_malformed'],
    ['a subject that is a number', { sub: 1 }, 'claim_malformed'],
    ['active false', { active: false }, 'inactive'],
  ])('is checked like an answer of the server: %s', async (_, changes, outcome) => {
    const value = { ...saved, response: { ...response, ...changes } };
    expect(await verifyWith(value)).toEqual({ outcome, asked: 0 });
  });

  it.each<[string, () => unknown]>([
    ['rejects', () => Promise.reject(new Error('gone'))],
    [
      'throws',
      () => {
        throw new Error('gone');
      },
    ],
    ['gives nothing at all', () => undefined],
  ])('is not needed: a store that %s', async (_, call) => {
    const broken = { get: call, set: call, add: call, delete: call } as unknown as Store;
    const { issuer, another } = await fleet(broken);
    await expect(another().verify(issuer.issueOpaque())).resolves.toBeDefined();
    await expect(another().verify('garbage')).rejects.toMatchObject({ reason: 'inactive' });
  });
});

describe('a store that never answers', () => {
  simulateTime();

  it('is waited for a second, and then left alone for a while', async () => {
    let calls = 0;
    const never = (): Promise<never> => {
      calls++;
      return new Promise(() => undefined);
    };
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, { store: { get: never, set: never, add: never, delete: never } });
    const started = Date.now();
    await expect(untilDeadline(verifyAsync(verifier, issuer.issueOpaque()))).resolves.toBeDefined();
    expect(Date.now() - started).toBe(1_000);
    expect(calls).toBe(1);
    await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
    expect(calls).toBe(1);
    await expect(untilDeadline(verifier.invalidate('token'))).rejects.toThrow('the store did not respond within 1 s');
  });
});
