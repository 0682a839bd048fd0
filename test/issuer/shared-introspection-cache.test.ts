import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { type IntrospectionVerifierOptions, memoryStore, type Store } from '../../lib/index.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import { cachedResult, startIssuer, verifyAsync } from '../support/helpers.js';
import { movableClock, verifierFor } from '../support/introspection.js';
import { eventually, simulateTime, untilDeadline } from '../support/time.js';
import { recordWarnings } from '../support/warnings.js';

/** Several processes: each verifier has its own cache, and all share one store. */
async function setUpProcesses(store: Store = memoryStore(), options: Partial<IntrospectionVerifierOptions> = {}) {
  const issuer = await startIssuer();
  const time = movableClock(issuer.now);
  const createVerifier = () => verifierFor(issuer, { store, clock: time.clock, ...options });
  return { issuer, time, store, createVerifier };
}

/** Delays the next response for a token until the returned function is called. */
function delayResponse(issuer: TestIssuer, token: string): () => void {
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
  it('are used by a process that has not introspected the token', async () => {
    const { issuer, createVerifier } = await setUpProcesses();
    const token = issuer.issueOpaque({ scope: 'a b', tenant: { id: 9_007_199_254_740_991 } });
    const first = await createVerifier().verify(token);
    const second = await createVerifier().verify(token);
    expect(second).toEqual(first);
    expect(issuer.requests.introspection).toBe(1);
  });

  it('include negative results', async () => {
    const { issuer, createVerifier } = await setUpProcesses();
    for (let i = 0; i < 3; i++)
      await expect(createVerifier().verify('garbage')).rejects.toMatchObject({ reason: 'inactive' });
    expect(issuer.requests.introspection).toBe(1);
  });

  it('are not shared with an API of another audience', async () => {
    const { issuer, createVerifier, store, time } = await setUpProcesses();
    const token = issuer.issueOpaque();
    await createVerifier().verify(token);
    const other = verifierFor(issuer, { store, clock: time.clock, audience: 'another' });
    await expect(other.verify(token)).rejects.toMatchObject({ reason: 'audience_mismatch' });
    expect(issuer.requests.introspection).toBe(2);
  });

  it.each<[string, Partial<IntrospectionVerifierOptions>]>([
    ['introspects as another client', { clientId: 'other' }],
    ['uses another authorization server', { issuer: 'https://elsewhere.example.com' }],
    ['requires signed responses', { signedResponse: true }],
  ])('are not used by an API that %s', async (_, options) => {
    const { issuer, store, time } = await setUpProcesses();
    const { introspectionEndpoint } = issuer;
    const token = issuer.issueOpaque();
    await verifierFor(issuer, { store, clock: time.clock, introspectionEndpoint }).verify(token);
    const other = verifierFor(issuer, { store, clock: time.clock, introspectionEndpoint, ...options });
    await verifyAsync(other, token).catch(() => undefined);
    expect(issuer.requests.introspection).toBe(2);
    await other.close();
  });

  it('expire in all processes cache.maxAge after the introspection request', async () => {
    const { issuer, time, createVerifier } = await setUpProcesses(memoryStore(), { cache: { maxAge: 60 } });
    const token = issuer.issueOpaque();
    await createVerifier().verify(token);
    time.now += 59;
    const late = createVerifier();
    await late.verify(token);
    issuer.revoke(token);
    time.now += 1;
    expect(cachedResult(late, token)).toBeUndefined();
    await expect(late.verify(token)).rejects.toMatchObject({ reason: 'inactive' });
  });

  it('are requested once by many processes at the same time', async () => {
    const { issuer, createVerifier } = await setUpProcesses();
    const token = issuer.issueOpaque();
    await Promise.all(Array.from({ length: 20 }, () => verifyAsync(createVerifier(), token)));
    expect(issuer.requests.introspection).toBe(1);
  });

  it('are read once more by a process that has waited for its turn', async () => {
    const backend = memoryStore();
    let before = (): Promise<unknown> => Promise.resolve();
    // Between the first lookup and the reservation, another process introspects the token.
    const store: Store = {
      ...backend,
      add: async (key, lifetime) => {
        const first = before;
        before = () => Promise.resolve();
        await first();
        return backend.add(key, lifetime);
      },
    };
    const { issuer, createVerifier } = await setUpProcesses(store);
    const token = issuer.issueOpaque();
    before = () => verifyAsync(createVerifier(), token);
    await createVerifier().verify(token);
    expect(issuer.requests.introspection).toBe(1);
  });

  it('cause few calls of the store while a process waits for another one with a slow server', async () => {
    const backend = memoryStore();
    let reads = 0;
    const store: Store = {
      ...backend,
      get: (key) => {
        reads++;
        return backend.get(key);
      },
    };
    const { issuer, createVerifier } = await setUpProcesses(store);
    const token = issuer.issueOpaque();
    const respond = delayResponse(issuer, token);
    const results = [createVerifier(), createVerifier()].map((verifier) => verifyAsync(verifier, token));
    await pause(1_500);
    respond();
    await Promise.all(results);
    expect(issuer.requests.introspection).toBe(1);
    // Two for each look, and a few of the process that sends the request.
    expect(reads).toBeLessThan(35);
  });

  it('do not depend on a process that dies during its introspection request', async () => {
    const backend = memoryStore();
    const { issuer, createVerifier } = await setUpProcesses(
      { ...backend, add: () => Promise.resolve(false) },
      { timeout: 0.5 },
    );
    await expect(createVerifier().verify(issuer.issueOpaque())).resolves.toBeDefined();
  });
});

describe('invalidate with a shared store', () => {
  it('takes effect in all processes within 5 seconds', async () => {
    const { issuer, time, createVerifier } = await setUpProcesses();
    const [here, there] = [createVerifier(), createVerifier()];
    const token = issuer.issueOpaque();
    await Promise.all([here.verify(token), there.verify(token)]);
    issuer.revoke(token);
    await here.invalidate(token);
    await expect(here.verify(token)).rejects.toMatchObject({ reason: 'inactive' });
    time.now += 5;
    expect(cachedResult(there, token)).toBeUndefined();
    await expect(there.verify(token)).rejects.toMatchObject({ reason: 'inactive' });
  });

  it.each(['this process', 'another process'])('is not undone by a request that %s has already sent', async (which) => {
    const { issuer, time, createVerifier } = await setUpProcesses();
    const [introspecting, other] = [createVerifier(), createVerifier()];
    const token = issuer.issueOpaque();
    const release = delayResponse(issuer, token);
    const running = introspecting.verify(token);
    await eventually('the introspection request is received', () => issuer.introspection.timesAsked(token) === 1);
    await (which === 'this process' ? introspecting : other).invalidate(token);
    release();
    await running;
    time.now += 5;
    issuer.introspection.failFor(token, (res) => {
      res.setHeader('Content-Type', 'application/json').end('{"active":false}');
    });
    for (const verifier of [introspecting, other, createVerifier()]) {
      await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'inactive' });
    }
  });

  it('deletes a result that was received with an earlier bearer token', async () => {
    let bearerToken = 'one';
    const { issuer, createVerifier } = await setUpProcesses(memoryStore(), {
      clientAuthentication: { bearerToken: () => bearerToken },
    });
    const token = issuer.issueOpaque();
    await createVerifier().verify(token);
    issuer.revoke(token);
    bearerToken = 'two';
    await createVerifier().invalidate(token);
    bearerToken = 'one';
    await expect(createVerifier().verify(token)).rejects.toMatchObject({ reason: 'inactive' });
  });

  it('does not need the credentials', async () => {
    const { createVerifier } = await setUpProcesses(memoryStore(), {
      clientAuthentication: { bearerToken: () => Promise.reject(new Error('gone')) },
    });
    await expect(createVerifier().invalidate('token')).resolves.toBeUndefined();
  });

  it('rejects if the store is unavailable', async () => {
    const broken: Store = {
      ...memoryStore(),
      set: () => Promise.reject(new Error('gone')),
      delete: () => Promise.reject(new Error('gone')),
    };
    const { createVerifier } = await setUpProcesses(broken);
    await expect(createVerifier().invalidate('token')).rejects.toMatchObject({
      name: 'UpstreamError',
      reason: 'store_unavailable',
      cause: { message: 'gone' },
    });
  });

  it('removes the result of this process even if the store is unavailable', async () => {
    const backend = memoryStore();
    let isGone = false;
    const guard = <T>(call: () => Promise<T>): Promise<T> => (isGone ? Promise.reject(new Error('gone')) : call());
    const { issuer, createVerifier } = await setUpProcesses({
      get: (key) => guard(() => backend.get(key)),
      set: (key, value, lifetime) => guard(() => backend.set(key, value, lifetime)),
      add: (key, lifetime) => guard(() => backend.add(key, lifetime)),
      delete: (key) => guard(() => backend.delete(key)),
    });
    const verifier = createVerifier();
    const token = issuer.issueOpaque();
    await verifier.verify(token);
    isGone = true;
    await expect(verifier.invalidate(token)).rejects.toMatchObject({ reason: 'store_unavailable' });
    expect(cachedResult(verifier, token)).toBeUndefined();
  });
});

function withClient(value: unknown, written: unknown): unknown {
  const isOurs = (value as { client?: unknown } | null)?.client === 'this client';
  return isOurs ? { ...(value as object), client: (written as { client: unknown }).client } : value;
}

describe('a value in the store', () => {
  const now = Math.floor(Date.now() / 1000);
  const response = { active: true, aud: 'https://api.example.com', client_id: 'forged', exp: now + 600 };
  const saved = { version: 2, client: 'this client', response, introspectedAt: now };

  /** A store in which every key has the same value. `client: 'this client'` is replaced by what the verifier writes. */
  async function verifyWith(value: unknown) {
    const backend = memoryStore();
    const written: unknown[] = [];
    const { issuer, time, createVerifier } = await setUpProcesses({
      ...backend,
      get: () => Promise.resolve(written.length === 0 ? undefined : withClient(value, written[0])),
      set: (_key, ...rest) => Promise.resolve(void written.push(rest[0])),
    });
    time.now = now;
    const token = issuer.issueOpaque({ client_id: 'introspected' });
    await createVerifier().verify(token);
    issuer.requests.introspection = 0;
    const outcome = await verifyAsync(createVerifier(), token)
      .then(({ clientId }) => clientId)
      .catch((error: unknown) => (error as { reason?: string }).reason);
    return { outcome, requests: issuer.requests.introspection };
  }

  it('is used as it was saved', async () => {
    expect(await verifyWith(saved)).toEqual({ outcome: 'forged', requests: 0 });
  });

  it.each<[string, unknown]>([
    ['another version', { ...saved, version: 1 }],
    ['no version', { ...saved, version: undefined }],
    ['a version that is a string', { ...saved, version: '2' }],
    ['the digest of other credentials', { ...saved, client: 'another' }],
    ['no digest of the credentials', { ...saved, client: undefined }],
    ['active as a string', { ...saved, response: { ...response, active: 'true' } }],
    ['active as a number', { ...saved, response: { ...response, active: 1 } }],
    ['no active', { ...saved, response: { ...response, active: undefined } }],
    ['no response', { ...saved, response: undefined }],
    ['a response that is null', { ...saved, response: null }],
    ['a response that is an array', { ...saved, response: [response] }],
    ['a response that is a string', { ...saved, response: JSON.stringify(response) }],
    ['an array', [saved]],
    ['text', JSON.stringify(saved)],
    ['a number', 1],
    ['true', true],
    ['null', null],
    ['no introspectedAt', { ...saved, introspectedAt: undefined }],
    ['introspectedAt as a string', { ...saved, introspectedAt: String(now) }],
    ['introspectedAt that is infinite', { ...saved, introspectedAt: Number.POSITIVE_INFINITY }],
    ['introspectedAt that is NaN', { ...saved, introspectedAt: Number.NaN }],
    ['introspectedAt far in the future', { ...saved, introspectedAt: now + 3_600 }],
    ['introspectedAt too long ago', { ...saved, introspectedAt: now - 60 }],
    ['an exp in the past', { ...saved, response: { ...response, exp: now - 1 } }],
  ])('is ignored, and the token is introspected, if it is %s', async (_, value) => {
    expect(await verifyWith(value)).toEqual({ outcome: 'introspected', requests: 1 });
  });

  it.each<[string, object, string]>([
    ['another audience', { aud: 'another' }, 'audience_mismatch'],
    ['no audience', { aud: undefined }, 'audience_missing'],
    ['another issuer', { iss: 'https://elsewhere.example.com' }, 'issuer_mismatch'],
    ['an nbf in the future', { nbf: now + 3_600 }, 'not_yet_valid'],
    ['exp as a string', { exp: '9999999999' }, 'claim_malformed'],
    ['a subject that is a number', { sub: 1 }, 'claim_malformed'],
    ['active false', { active: false }, 'inactive'],
  ])('is checked like a response of the server: %s', async (_, changes, outcome) => {
    const value = { ...saved, response: { ...response, ...changes } };
    expect(await verifyWith(value)).toEqual({ outcome, requests: 0 });
  });

  it.each<[string, () => unknown]>([
    ['rejects', () => Promise.reject(new Error('gone'))],
    [
      'throws',
      () => {
        throw new Error('gone');
      },
    ],
    ['returns nothing', () => undefined],
  ])('is optional: a store that %s', async (_, call) => {
    const broken = { get: call, set: call, add: call, delete: call } as unknown as Store;
    const { issuer, createVerifier } = await setUpProcesses(broken);
    await expect(createVerifier().verify(issuer.issueOpaque())).resolves.toBeDefined();
    await expect(createVerifier().verify('garbage')).rejects.toMatchObject({ reason: 'inactive' });
  });
});

describe('a store that never responds', () => {
  simulateTime();

  it('delays a request by one second, and is then not called for a while', async () => {
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
    await expect(untilDeadline(verifier.invalidate('token'))).rejects.toMatchObject({
      reason: 'store_unavailable',
      cause: { message: 'the store did not respond within 1 s' },
    });
  });
});

describe('a store of an application', () => {
  it('may return null if there is no value', async () => {
    const memory = memoryStore();
    const store: Store = { ...memory, get: async (key) => (await memory.get(key)) ?? null };
    const { issuer, createVerifier } = await setUpProcesses(store);
    const token = issuer.issueOpaque();
    await createVerifier().verify(token);
    await createVerifier().verify(token);
    expect(issuer.requests.introspection).toBe(1);
  });

  it.each([[undefined], [null], ['OK'], [1]])('whose add returns %p counts as unavailable', async (added) => {
    const warnings = recordWarnings();
    const store: Store = { ...memoryStore(), add: () => Promise.resolve(added as unknown as boolean) };
    const { issuer, createVerifier } = await setUpProcesses(store);
    await expect(createVerifier().verify(issuer.issueOpaque())).resolves.toBeDefined();
    expect(warnings).toEqual([{ code: 'ERS_STORE', message: expect.stringContaining('true or false') }]);
  });
});
