import { describe, expect, it } from '@jest/globals';
import { jwtVerifier, type JwtVerifierOptions, type Store } from '../../lib/index.js';
import { makeSigningKey, type TestIssuer } from '../../lib/testing/issuer.js';
import { startIssuer, verifyAsync } from '../support/helpers.js';
import { advance, eventually, simulateTime, untilDeadline } from '../support/time.js';

simulateTime();

/** A store that serializes its values as JSON, as Redis or a file does. */
class JsonStore implements Store {
  readonly entries = new Map<string, string>();

  get(key: string): Promise<unknown> {
    const json = this.entries.get(key);
    return Promise.resolve(json === undefined ? undefined : JSON.parse(json));
  }

  set(key: string, value: unknown): Promise<void> {
    this.entries.set(key, JSON.stringify(value));
    return Promise.resolve();
  }

  add(): Promise<boolean> {
    return Promise.reject(new Error('not needed here'));
  }

  delete(key: string): Promise<void> {
    this.entries.delete(key);
    return Promise.resolve();
  }

  /** Changes a saved value, as anyone with write access to the store could. */
  alter(change: (saved: Record<string, unknown>) => unknown): void {
    for (const [key, json] of this.entries) {
      this.entries.set(key, JSON.stringify(change(JSON.parse(json) as Record<string, unknown>)));
    }
  }
}

const DAY = 86_400;

function boot(issuer: TestIssuer, store: Store, options: Partial<JwtVerifierOptions> = {}) {
  return jwtVerifier({ issuer: issuer.url, audience: issuer.audience, keySnapshot: store, ...options });
}

/** An issuer whose keys an earlier process saved. */
async function setUp(options: Partial<JwtVerifierOptions> = {}) {
  const issuer = await startIssuer();
  const store = new JsonStore();
  const before = boot(issuer, store, options);
  await before.ready();
  await eventually('the snapshot', () => store.entries.size === 1);
  await before.close();
  const token = await issuer.issue({ exp: issuer.now + 30 * DAY });
  return { issuer, store, token };
}

describe('a key snapshot', () => {
  it('lets a process start during an outage', async () => {
    const { issuer, store, token } = await setUp();
    await issuer.goDown();
    await advance({ seconds: 3_600 });
    const verifier = boot(issuer, store);
    await expect(verifier.verify(token)).resolves.toMatchObject({ clientId: 'client-1' });
    expect(verifier.health().keys).toMatchObject({ state: 'stale', failures: 1 });
    await expect(boot(issuer, new JsonStore()).verify(token)).rejects.toMatchObject({ status: 503 });
  });

  it('makes the first requests independent of the issuer while it is fresh', async () => {
    const { issuer, store, token } = await setUp();
    await expect(boot(issuer, store).verify(token)).resolves.toBeDefined();
    expect(issuer.requests).toMatchObject({ metadata: 1, jwks: 1 });
  });

  it('is replaced by the issuer’s keys when the issuer is available', async () => {
    const { issuer, store, token } = await setUp();
    await advance({ seconds: 3_600 });
    await issuer.rotate();
    const verifier = boot(issuer, store);
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'unknown_key' });
    await expect(verifier.verify(await issuer.issue())).resolves.toBeDefined();
  });

  it('is ignored if it is older than maxStale', async () => {
    const { issuer, store, token } = await setUp({ keys: { maxStale: 1_000 } });
    await issuer.goDown();
    await advance({ seconds: 1_001 });
    await expect(boot(issuer, store, { keys: { maxStale: 1_000 } }).verify(token)).rejects.toMatchObject({
      status: 503,
    });
  });

  it('also works with a configured jwksUri', async () => {
    const issuer = await startIssuer();
    const store = new JsonStore();
    const options = { jwksUri: issuer.jwksUri };
    await boot(issuer, store, options).ready();
    await eventually('the snapshot', () => store.entries.size === 1);
    await issuer.goDown();
    const token = await issuer.issue();
    await expect(boot(issuer, store, options).verify(token)).resolves.toBeDefined();
    await expect(boot(issuer, store, { jwksUri: `${issuer.jwksUri}-other` }).verify(token)).rejects.toMatchObject({
      status: 503,
    });
  });

  it('contains only public keys', async () => {
    const issuer = await startIssuer();
    const leaked = await makeSigningKey();
    issuer.published.push({ ...leaked.publicJwk, d: 'c2VjcmV0' }, { kty: 'oct', k: 'c2VjcmV0' });
    const store = new JsonStore();
    await boot(issuer, store).ready();
    await eventually('the snapshot', () => store.entries.size === 1);
    const saved = [...store.entries.values()].join();
    expect(saved).toContain(issuer.key.kid);
    expect(saved).not.toContain('c2VjcmV0');
  });

  it.each([
    ['nothing', () => null],
    ['a string', () => 'keys'],
    ['another version', (saved: object) => ({ ...saved, version: 2 })],
    ['another issuer', (saved: object) => ({ ...saved, issuer: 'https://evil.example.com' })],
    ['no JWKS', (saved: object) => ({ ...saved, jwks: { keys: 'none' } })],
    ['unusable keys', (saved: object) => ({ ...saved, jwks: { keys: [{ kty: 'oct', k: 'AAAA' }] } })],
    ['no time', (saved: object) => ({ ...saved, fetchedAt: 'now' })],
    ['a time long ago', (saved: object) => ({ ...saved, fetchedAt: 0 })],
    ['no jwks_uri', (saved: object) => ({ ...saved, jwksUri: undefined })],
    ['a URL that the verifier must not call', (saved: object) => ({ ...saved, jwksUri: 'http://keys.example.com/' })],
    ['a URL that is not http or https', (saved: object) => ({ ...saved, jwksUri: 'file:///etc/passwd' })],
  ])('is ignored if it contains %s', async (_, change) => {
    const { issuer, store, token } = await setUp();
    await issuer.goDown();
    await expect(boot(issuer, store).verify(token)).resolves.toBeDefined();
    store.alter(change);
    await expect(boot(issuer, store).verify(token)).rejects.toMatchObject({ status: 503 });
  });

  it('from a clock that was ahead does not stay fresh for longer than a new snapshot', async () => {
    const { issuer, store, token } = await setUp();
    store.alter((saved) => ({ ...saved, fetchedAt: issuer.now + 1_000 * DAY }));
    const verifier = boot(issuer, store);
    await verifier.verify(token);
    expect(verifier.health().keys.age).toBe(0);
  });

  it('is read again if the store was unavailable at first', async () => {
    const { issuer, store, token } = await setUp();
    await issuer.goDown();
    let isConnected = false;
    const late: Store = {
      get: (key) => (isConnected ? store.get(key) : Promise.reject(new Error('not connected yet'))),
      set: (key, value) => store.set(key, value),
      add: () => store.add(),
      delete: (key) => store.delete(key),
    };
    const verifier = boot(issuer, late);
    await expect(verifier.verify(token)).rejects.toMatchObject({ status: 503 });
    isConnected = true;
    await advance({ seconds: 1 });
    await expect(verifier.verify(token)).resolves.toBeDefined();
    expect(verifier.health()).not.toHaveProperty('snapshotError');
  });

  it('is read with the timeout of keys.timeout', async () => {
    const { issuer, store, token } = await setUp();
    await issuer.goDown();
    const slow: Store = {
      get: async (key) => {
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        return store.get(key);
      },
      set: () => Promise.resolve(),
      add: () => store.add(),
      delete: (key) => store.delete(key),
    };
    await expect(untilDeadline(verifyAsync(boot(issuer, slow, { keys: { timeout: 2 } }), token))).rejects.toMatchObject(
      {
        status: 503,
      },
    );
    await expect(untilDeadline(verifyAsync(boot(issuer, slow), token))).resolves.toBeDefined();
  });

  it.each([
    ['rejects', () => Promise.reject(new Error('store is down'))],
    ['hangs', () => new Promise<never>(() => undefined)],
    [
      'throws',
      () => {
        throw new Error('store is broken');
      },
    ],
  ])('is skipped if the store %s, and health reports the failure', async (_, fail) => {
    const issuer = await startIssuer();
    const store: Store = { get: fail, set: fail, add: fail, delete: fail };
    const verifier = boot(issuer, store);
    await expect(untilDeadline(verifyAsync(verifier, await issuer.issue()))).resolves.toBeDefined();
    expect(verifier.health().snapshotError).toBeInstanceOf(Error);
  });
});
