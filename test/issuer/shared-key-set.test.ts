import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import {
  type Fetch,
  introspectionVerifier,
  jwtVerifier,
  type JwtVerifierOptions,
  memoryStore,
  trustedIssuers,
} from '../../lib/index.js';
import { makeSigningKey, type TestIssuer } from '../../lib/testing/issuer.js';
import { startIssuer, verifyAsync } from '../support/helpers.js';
import { movableClock } from '../support/introspection.js';
import { advance, eventually, simulateTime, watchedFetch } from '../support/time.js';

simulateTime();

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Verifiers of tenants whose keys are at one address. */
function tenants(issuer: TestIssuer, count: number, options: Partial<JwtVerifierOptions> = {}) {
  return Array.from({ length: count }, (_, i) => tenant(issuer, `tenant-${i}`, options));
}

function tenant(issuer: TestIssuer, name: string, options: Partial<JwtVerifierOptions> = {}) {
  const { jwksUri, audience } = issuer;
  return jwtVerifier({ issuer: name, audience, jwksUri, fetch: watchedFetch, ...options });
}

describe('verifiers with the same jwksUri', () => {
  it('cause one fetch, in a list and from a resolver', async () => {
    const issuer = await startIssuer();
    const list = trustedIssuers(tenants(issuer, 20));
    const { jwksUri, audience } = issuer;
    const found = trustedIssuers((iss) => ({ issuer: iss, audience, jwksUri, fetch: watchedFetch }));
    for (const verifier of [list, found]) {
      const tokens = await Promise.all(Array.from({ length: 20 }, (_, i) => issuer.issue({ iss: `tenant-${i}` })));
      const results = await Promise.all(tokens.map((token) => verifyAsync(verifier, token)));
      expect(results.map((result) => result.issuer)).toEqual(Array.from({ length: 20 }, (_, i) => `tenant-${i}`));
    }
    expect(issuer.requests).toMatchObject({ metadata: 0, jwks: 1 });
    await advance({ seconds: 550 });
    await eventually('one refresh', () => issuer.requests.jwks === 2);
    await Promise.all([list.close(), found.close()]);
    await advance({ seconds: 3_600 });
    expect(issuer.requests.jwks).toBe(2);
  });

  it('accept only tokens of their own issuer', async () => {
    const issuer = await startIssuer();
    const [one] = tenants(issuer, 2);
    await expect(one?.verify(await issuer.issue({ iss: 'tenant-1' }))).rejects.toMatchObject({
      reason: 'issuer_mismatch',
    });
    await one?.close();
  });

  it('find a rotated key together, and share the budget for unknown keys', async () => {
    const issuer = await startIssuer();
    const verifiers = tenants(issuer, 10);
    await Promise.all(verifiers.map((verifier) => verifier.ready()));
    await issuer.rotate();
    for (const [i, verifier] of verifiers.entries()) {
      await expect(verifier.verify(await issuer.issue({ iss: `tenant-${i}` }))).resolves.toBeDefined();
    }
    expect(issuer.requests.jwks).toBe(2);
    const stranger = await makeSigningKey();
    for (const [i, verifier] of verifiers.entries()) {
      const forged = await issuer.issue({ iss: `tenant-${i}` }, { key: stranger });
      await expect(verifier.verify(forged)).rejects.toBeDefined();
    }
    expect(issuer.requests.jwks).toBe(5);
    for (const verifier of verifiers) await verifier.close();
  });

  it('continue if one of them is closed, even twice', async () => {
    const issuer = await startIssuer();
    const [one, two, three] = tenants(issuer, 3, { keys: { refreshInterval: 60 } });
    await two?.ready();
    await one?.close();
    await one?.close();
    await three?.close();
    await advance({ seconds: 300 });
    expect(issuer.requests.jwks).toBeGreaterThan(4);
    expect(two?.health().keys.state).toBe('fresh');
    await two?.close();
    const { jwks } = issuer.requests;
    await advance({ seconds: 300 });
    expect(issuer.requests.jwks).toBe(jwks);
  });

  it('fetch again if all others were closed before', async () => {
    const issuer = await startIssuer();
    for (let round = 1; round <= 3; round++) {
      const verifier = tenant(issuer, 'tenant');
      await expect(verifier.verify(await issuer.issue({ iss: 'tenant' }))).resolves.toBeDefined();
      expect(issuer.requests.jwks).toBe(round);
      await verifier.close();
    }
  });

  it('are collected, and stop fetching, if nobody references them any more', async () => {
    const issuer = await startIssuer();
    await Promise.all(tenants(issuer, 5, { keys: { refreshInterval: 60 } }).map((verifier) => verifier.ready()));
    for (let i = 0; i < 5; i++) {
      await setImmediate();
      collectGarbage();
    }
    await advance({ seconds: 300 });
    expect(issuer.requests.jwks).toBeLessThan(3);
  });

  it('do not stop others if some were collected without being closed', async () => {
    const issuer = await startIssuer();
    const keys = { refreshInterval: 60, prefetch: false };
    await Promise.all(tenants(issuer, 5, { keys }).map((verifier) => verifier.ready()));
    const last = tenant(issuer, 'last', { keys });
    for (let i = 0; i < 5; i++) {
      await setImmediate();
      collectGarbage();
    }
    await advance({ seconds: 300 });
    expect(issuer.requests.jwks).toBeGreaterThan(4);
    await last.close();
    const { jwks } = issuer.requests;
    await advance({ seconds: 300 });
    expect(issuer.requests.jwks).toBe(jwks);
  });

  it.each<[string, () => Partial<JwtVerifierOptions>]>([
    ['fetch', () => ({ fetch: (url, init) => watchedFetch(url, init) })],
    ['clock', () => ({ clock: () => Date.now() / 1000 })],
    ['keySnapshot', () => ({ keySnapshot: memoryStore() })],
    ['timeout', () => ({ keys: { timeout: 4 } })],
    ['maxBytes', () => ({ keys: { maxBytes: 2_000 } })],
    ['refreshInterval', () => ({ keys: { refreshInterval: 61 } })],
    ['cooldown', () => ({ keys: { cooldown: 31 } })],
    ['maxStale', () => ({ keys: { maxStale: 1 } })],
  ])('fetch separately if they differ in %s', async (name, other) => {
    const issuer = await startIssuer();
    const verifiers = [tenant(issuer, 'one'), tenant(issuer, 'two', other()), tenant(issuer, 'three', other())];
    await Promise.all(verifiers.map((verifier) => verifier.ready()));
    // Functions and stores are compared by identity.
    expect(issuer.requests.jwks).toBe(['fetch', 'clock', 'keySnapshot'].includes(name) ? 3 : 2);
    for (const verifier of verifiers) await verifier.close();
  });

  it('share with the same fetch, clock and key snapshot, and without options that do not concern the keys', async () => {
    const issuer = await startIssuer();
    const { clock } = movableClock(issuer.now);
    const keySnapshot = memoryStore();
    const fetchKeys: Fetch = (url, init) => watchedFetch(url, init);
    const shared = { clock, keySnapshot, fetch: fetchKeys };
    const verifiers = [
      tenant(issuer, 'one', shared),
      tenant(issuer, 'two', { ...shared, allowInsecureHttp: true, audience: 'two', algorithms: ['ES256'] }),
      tenant(issuer, 'three', { ...shared, keys: { cooldown: 30 }, cache: false, requiredClaims: ['sub'] }),
    ];
    await Promise.all(verifiers.map((verifier) => verifier.ready()));
    expect(issuer.requests.jwks).toBe(1);
    for (const verifier of verifiers) await verifier.close();
    await issuer.goDown();
    // Another process, in which another tenant comes first.
    const later = tenant(issuer, 'four', { ...shared, fetch: (url, init) => watchedFetch(url, init) });
    await expect(later.ready()).resolves.toBeUndefined();
    await later.close();
  });

  it('share with the keys of signed introspection responses', async () => {
    const issuer = await startIssuer();
    const verifiers = Array.from({ length: 3 }, (_, i) =>
      introspectionVerifier({
        issuer: issuer.url,
        introspectionEndpoint: issuer.introspectionEndpoint,
        clientId: `api-${i}`,
        clientSecret: 'secret',
        audience: false,
        signedResponse: true,
        jwksUri: issuer.jwksUri,
        fetch: watchedFetch,
      }),
    );
    const token = issuer.issueOpaque();
    await Promise.all(verifiers.map((verifier) => verifyAsync(verifier, token)));
    expect(issuer.requests.jwks).toBe(1);
    for (const verifier of verifiers) await verifier.close();
  });
});
