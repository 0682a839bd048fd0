import { describe, expect, it } from '@jest/globals';
import { cachedVerifier, createAccessToken, jwtVerifier, memoryStore, trustedIssuers } from '../../lib/index.js';
import { expectAccepted, expectProofRejected, present, serveDpop, createScene } from '../support/dpop.js';
import { cachedResult, startIssuer, verifyAsync } from '../support/helpers.js';
import { movableClock, verifierFor } from '../support/introspection.js';
import { advance, eventually, jumpClock, simulateTime, watchedFetch } from '../support/time.js';

simulateTime();

const DAY = 86_400;
const scene = createScene();

describe('a clock of the machine that is set back', () => {
  it.each([
    ['in this process', {}],
    ['in a store', { store: memoryStore() }],
  ])('does not keep the result of a revoked token usable, cached %s', async (_, options) => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, options);
    const token = issuer.issueOpaque();
    await verifier.verify(token);
    issuer.revoke(token);
    jumpClock({ seconds: -DAY });
    await advance({ seconds: 60 });
    await expect(verifyAsync(verifier, token)).rejects.toMatchObject({ reason: 'inactive' });
  });

  it('does not keep a rejection', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    const token = issuer.issueOpaque();
    issuer.revoke(token);
    await expect(verifyAsync(verifier, token)).rejects.toMatchObject({ reason: 'inactive' });
    jumpClock({ seconds: -DAY });
    await advance({ seconds: 10 });
    await expect(verifyAsync(verifier, token)).rejects.toMatchObject({ reason: 'inactive' });
    expect(issuer.requests.introspection).toBe(2);
  });

  it('does not make the pause after a failed fetch of keys longer', async () => {
    const issuer = await startIssuer();
    const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience, fetch: watchedFetch });
    const token = await issuer.issue({ iat: issuer.now - DAY, exp: issuer.now + DAY });
    issuer.fail('jwks', 'error');
    await expect(verifyAsync(verifier, token)).rejects.toMatchObject({ status: 503, retryAfter: 1 });
    issuer.heal();
    jumpClock({ seconds: -DAY });
    await advance({ seconds: 1 });
    await expect(verifyAsync(verifier, token)).resolves.toMatchObject({ format: 'jwt' });
  });

  it('does not make the pause after failed introspection longer', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    await verifier.ready();
    const token = issuer.issueOpaque({ iat: issuer.now - DAY });
    issuer.fail('introspection', 'hangup');
    await expect(verifyAsync(verifier, token)).rejects.toMatchObject({ status: 503, retryAfter: 1 });
    issuer.heal();
    jumpClock({ seconds: -DAY });
    await advance({ seconds: 1 });
    await expect(verifyAsync(verifier, token)).resolves.toMatchObject({ format: 'opaque' });
  });

  it('does not keep keys in use for longer than maxStale', async () => {
    const issuer = await startIssuer();
    const keys = { refreshInterval: 60, maxStale: 60 };
    const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience, fetch: watchedFetch, keys });
    const token = await issuer.issue({ iat: issuer.now - DAY, exp: issuer.now + DAY });
    await verifier.verify(token);
    issuer.fail('jwks', 'error');
    jumpClock({ seconds: -DAY });
    await advance({ seconds: 121 });
    await expect(verifyAsync(verifier, token)).rejects.toMatchObject({ status: 503 });
    expect(verifier.health().keys.state).toBe('unavailable');
  });

  it('does not make the pause between fetches for unknown keys longer', async () => {
    const issuer = await startIssuer();
    const keys = { refreshInterval: 3_600, cooldown: 10 };
    const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience, fetch: watchedFetch, keys });
    await verifier.verify(await issuer.issue());
    const unknown = (): Promise<string> => issuer.issue({}, { header: { kid: 'unknown' } });
    for (let i = 0; i < 4; i++) {
      await expect(verifyAsync(verifier, await unknown())).rejects.toMatchObject({ reason: 'unknown_key' });
    }
    await expect(verifyAsync(verifier, await unknown())).rejects.toMatchObject({ retryAfter: 10 });
    jumpClock({ seconds: -30 });
    await advance({ seconds: 10 });
    await expect(verifyAsync(verifier, await unknown())).rejects.toMatchObject({ reason: 'unknown_key' });
  });

  it('does not keep the result of a resolver', async () => {
    let calls = 0;
    const issuer = await startIssuer();
    const verifier = trustedIssuers(
      (iss) => {
        calls++;
        return { issuer: iss, audience: issuer.audience, fetch: watchedFetch };
      },
      { maxAge: 60 },
    );
    const token = await issuer.issue({ iat: issuer.now - DAY, exp: issuer.now + DAY });
    await verifier.verify(token);
    jumpClock({ seconds: -DAY });
    await advance({ seconds: 60 });
    await verifyAsync(verifier, token);
    expect(calls).toBe(2);
    await verifier.close();
  });

  it('does not keep the result of a custom verifier', async () => {
    const verifier = cachedVerifier({
      verify: () => Promise.resolve(createAccessToken({ sub: 'a' }, { issuer: 'https://auth.example.com' })),
    });
    await verifier.verify('token');
    expect(cachedResult(verifier, 'token')).toBeDefined();
    jumpClock({ seconds: -DAY });
    await advance({ seconds: 60 });
    expect(cachedResult(verifier, 'token')).toBeUndefined();
  });

  it('does not keep a secret that the server rejects', async () => {
    const issuer = await startIssuer();
    let secret = 'old';
    issuer.introspection.client = { id: 'api', secret: 'old' };
    const verifier = verifierFor(issuer, { clientSecret: () => secret });
    await verifier.verify(issuer.issueOpaque());
    secret = 'new';
    issuer.introspection.client = { id: 'api', secret: 'new' };
    jumpClock({ seconds: -DAY });
    await advance({ seconds: 5 });
    await expect(verifyAsync(verifier, issuer.issueOpaque())).resolves.toMatchObject({ format: 'opaque' });
  });

  it('does not keep a value in the memory of the process', async () => {
    const store = memoryStore();
    await store.set('a', 1, 10);
    await store.add('b', 10);
    jumpClock({ seconds: -DAY });
    await advance({ seconds: 10 });
    expect([await store.get('a'), await store.add('b', 10)]).toEqual([undefined, true]);
  });
});

describe('a clock of the machine that is set forward', () => {
  it('and back, does not make a DPoP proof usable again', async () => {
    const app = serveDpop(scene.issuer);
    const proof = await scene.prove();
    await expectAccepted(app, present(app, scene.token, proof));
    jumpClock({ seconds: 3_600 });
    await expectAccepted(app, present(app, scene.token, await scene.prove()));
    jumpClock({ seconds: -3_600 });
    await expectProofRejected(app, present(app, scene.token, proof), 'proof_replayed');
  });

  it('does not make keys too old', async () => {
    const issuer = await startIssuer();
    const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience, fetch: watchedFetch });
    const token = await issuer.issue({ exp: issuer.now + 30 * DAY });
    await verifier.verify(token);
    issuer.fail('jwks', 'error');
    jumpClock({ seconds: 10 * DAY });
    expect(cachedResult(verifier, token)).toBeDefined();
    expect(verifier.health().keys).toMatchObject({ age: 0, state: 'fresh' });
  });

  it('rejects tokens that have expired by that clock', async () => {
    const issuer = await startIssuer();
    const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience, fetch: watchedFetch });
    const token = await issuer.issue({ exp: issuer.now + 600 });
    await verifier.verify(token);
    jumpClock({ seconds: 3_600 });
    await expect(verifyAsync(verifier, token)).rejects.toMatchObject({ reason: 'expired' });
  });
});

// A monotonic clock stops while the machine sleeps. Afterwards, the system clock has moved, and the monotonic clock has not.
describe('a machine that has slept', () => {
  it.each([
    ['in this process', {}],
    ['in a store', { store: memoryStore() }],
  ])('does not use the result of a token that was revoked in the meantime, cached %s', async (_, options) => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, options);
    const token = issuer.issueOpaque({ exp: issuer.now + DAY });
    await verifier.verify(token);
    issuer.revoke(token);
    jumpClock({ seconds: 3_600 });
    await expect(verifyAsync(verifier, token)).rejects.toMatchObject({ reason: 'inactive' });
  });

  it('does not use the result of a custom verifier, or of a JWT verifier with cache.maxAge', async () => {
    const issuer = await startIssuer();
    const custom = cachedVerifier({
      verify: () => Promise.resolve(createAccessToken({ sub: 'a' }, { issuer: 'https://auth.example.com' })),
    });
    const options = { issuer: issuer.url, audience: issuer.audience, fetch: watchedFetch, cache: { maxAge: 60 } };
    const token = await issuer.issue({ exp: issuer.now + DAY });
    for (const verifier of [custom, jwtVerifier(options)]) {
      await verifier.verify(token);
      expect(cachedResult(verifier, token)).toBeDefined();
      jumpClock({ seconds: 59 });
      expect(cachedResult(verifier, token)).toBeDefined();
      jumpClock({ seconds: 2 });
      expect(cachedResult(verifier, token)).toBeUndefined();
    }
  });

  it('asks the resolver again', async () => {
    let calls = 0;
    const issuer = await startIssuer();
    const verifier = trustedIssuers((iss) => {
      calls++;
      return calls === 1 ? { issuer: iss, audience: issuer.audience, fetch: watchedFetch } : undefined;
    });
    const token = await issuer.issue({ exp: issuer.now + DAY });
    await verifier.verify(token);
    jumpClock({ seconds: 3_600 });
    await expect(verifyAsync(verifier, token)).rejects.toMatchObject({ reason: 'issuer_mismatch' });
    await verifier.close();
  });

  it('fetches the keys again in the background, and uses the old ones until then', async () => {
    const issuer = await startIssuer();
    const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience, fetch: watchedFetch });
    const claims = { exp: issuer.now + DAY };
    await verifier.verify(await issuer.issue(claims));
    jumpClock({ seconds: 3_600 });
    await verifyAsync(verifier, await issuer.issue({ ...claims, sub: 'b' }));
    await eventually('the keys', () => issuer.requests.jwks === 2);
    await verifyAsync(verifier, await issuer.issue({ ...claims, sub: 'c' }));
    expect(issuer.requests.jwks).toBe(2);
    await verifier.close();
  });

  it('counts each sleep once, and a clock that is set back not at all', async () => {
    const verifier = cachedVerifier(
      {
        verify: () => Promise.resolve(createAccessToken({ sub: 'a' }, { issuer: 'https://auth.example.com' })),
      },
      { maxAge: 60 },
    );
    await verifier.verify('token');
    for (const seconds of [20, 20, -DAY]) {
      jumpClock({ seconds });
      expect(cachedResult(verifier, 'token')).toBeDefined();
    }
    await advance({ seconds: 15 });
    expect(cachedResult(verifier, 'token')).toBeDefined();
    await advance({ seconds: 10 });
    expect(cachedResult(verifier, 'token')).toBeUndefined();
  });
});

describe('the option clock', () => {
  it('replaces both clocks', async () => {
    const issuer = await startIssuer();
    const time = movableClock(issuer.now);
    const verifier = verifierFor(issuer, { clock: time.clock });
    const token = issuer.issueOpaque();
    await verifier.verify(token);
    await advance({ seconds: 3_600 });
    expect(cachedResult(verifier, token)).toBeDefined();
    time.now += 60;
    expect(cachedResult(verifier, token)).toBeUndefined();
  });
});
