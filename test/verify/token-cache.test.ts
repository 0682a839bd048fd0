import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BoundedCache } from '../../lib/util/bounded-cache.js';
import { type AccessToken, jwtVerifier, type JwtVerifierOptions, type TokenVerifier } from '../../lib/index.js';
import { buildAccessToken } from '../../lib/token/access-token.js';
import { createTokenCache } from '../../lib/verify/token-cache.js';
import { cachedResult, expectRefused, get, serve, serveFor, startIssuer, verifyAsync } from '../support/helpers.js';
import { jwtBearer } from '../../lib/index.js';

/** A verifier that counts its calls and returns the configured result. */
class CountingVerifier implements TokenVerifier {
  calls = 0;
  expiresAt = 1_000;
  answer: Promise<void> = Promise.resolve();

  async verify(token: string): Promise<AccessToken> {
    this.calls++;
    await this.answer;
    if (token.startsWith('bad')) throw new Error('refused');
    const claims = { sub: token, exp: this.expiresAt };
    return buildAccessToken(
      { format: 'opaque', issuer: 'https://issuer.example.com', claims },
      { clientIdClaims: [], scopeClaims: [] },
    );
  }
}

function createCachedVerifier(options: { maxEntries?: number; maxAge?: number } = {}) {
  const time = { now: 0 };
  const verifier = new CountingVerifier();
  return {
    time,
    verifier,
    remembered: createTokenCache(async (token) => ({ accessToken: await verifier.verify(token) }), {
      ...options,
      clock: () => time.now,
      isFresh: ({ accessToken }) => time.now < (accessToken.expiresAt ?? 0),
    }),
  };
}

describe('a cached result', () => {
  it('is returned synchronously, without another verification', async () => {
    const { verifier, remembered } = createCachedVerifier();
    expect(cachedResult(remembered, 'a')).toBeUndefined();
    const first = await remembered.verify('a');
    expect(cachedResult(remembered, 'a')).toBe(first);
    expect(await remembered.verify('a')).toBe(first);
    expect(verifier.calls).toBe(1);
  });

  it('expires in the same second as the token', async () => {
    const { time, remembered } = createCachedVerifier();
    await remembered.verify('a');
    time.now = 999.999;
    expect(cachedResult(remembered, 'a')).toBeDefined();
    time.now = 1_000;
    expect(cachedResult(remembered, 'a')).toBeUndefined();
  });

  it('expires after maxAge', async () => {
    const { time, verifier, remembered } = createCachedVerifier({ maxAge: 60 });
    await remembered.verify('a');
    time.now = 60;
    expect(cachedResult(remembered, 'a')).toBeUndefined();
    await remembered.verify('a');
    expect(verifier.calls).toBe(2);
  });

  it('is removed by invalidate, also while the verification is running', async () => {
    const { verifier, remembered } = createCachedVerifier();
    await remembered.verify('a');
    remembered.invalidate('a');
    expect(cachedResult(remembered, 'a')).toBeUndefined();
    remembered.invalidate('a');
    const running = remembered.verify('a');
    remembered.invalidate('a');
    await running;
    expect(verifier.calls).toBe(3);
    expect(cachedResult(remembered, 'a')).toBeUndefined();
  });

  it('does not exist for a rejected token', async () => {
    const { verifier, remembered } = createCachedVerifier();
    await expect(remembered.verify('bad')).rejects.toThrow('refused');
    await expect(remembered.verify('bad')).rejects.toThrow('refused');
    expect(verifier.calls).toBe(2);
  });

  it('is computed once for a thousand concurrent requests', async () => {
    const { verifier, remembered } = createCachedVerifier();
    const results = await Promise.all(Array.from({ length: 1_000 }, () => verifyAsync(remembered, 'a')));
    expect(verifier.calls).toBe(1);
    expect(new Set(results).size).toBe(1);
  });

  it('is one of at most maxEntries results', async () => {
    const { remembered } = createCachedVerifier({ maxEntries: 3 });
    for (const token of ['a', 'b', 'c', 'd', 'e']) await remembered.verify(token);
    const held = ['a', 'b', 'c', 'd', 'e'].filter((token) => cachedResult(remembered, token) !== undefined);
    expect(held).toHaveLength(3);
    expect(held).toContain('e');
  });
});

describe('the cache of a JWT verifier', () => {
  async function setUp(options: Partial<JwtVerifierOptions> = {}) {
    const issuer = await startIssuer();
    const time = { now: issuer.now };
    const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience, clock: () => time.now, ...options });
    return { issuer, time, verifier };
  }

  it.each([
    { title: 'exp', options: { clockTolerance: 0 }, claims: { exp: 300 }, last: 299, end: 300 },
    { title: 'exp and tolerance', options: { clockTolerance: 7 }, claims: { exp: 300 }, last: 306, end: 307 },
    { title: 'the default tolerance', options: {}, claims: { exp: 300 }, last: 309, end: 310 },
    { title: 'maxTokenAge', options: { maxTokenAge: 100 }, claims: { iat: 0, exp: 300 }, last: 109, end: 110 },
    { title: 'cache.maxAge', options: { cache: { maxAge: 50 } }, claims: { exp: 300 }, last: 49, end: 50 },
  ])('returns a result until $title and not after that second', async ({ options, claims, last, end }) => {
    const { issuer, time, verifier } = await setUp(options);
    const start = time.now;
    const token = await issuer.issue(Object.fromEntries(Object.entries(claims).map(([k, v]) => [k, start + v])));
    await verifier.verify(token);
    time.now = start + last;
    expect(cachedResult(verifier, token)).toBeDefined();
    time.now = start + end;
    expect(cachedResult(verifier, token)).toBeUndefined();
  });

  it('does not return a result for an expired token', async () => {
    const issuer = await startIssuer();
    const time = { now: issuer.now };
    const app = serveFor(issuer, { clock: () => time.now, clockTolerance: 0 });
    const token = await issuer.issue({ exp: time.now + 300 });
    expect((await get(app, token)).status).toBe(200);
    time.now += 299;
    expect((await get(app, token)).status).toBe(200);
    time.now += 1;
    await expectRefused(app, token, 401, 'invalid_token');
  });

  it('is empty with cache: false', async () => {
    const { issuer, verifier } = await setUp({ cache: false });
    const token = await issuer.issue();
    const first = await verifier.verify(token);
    expect(cachedResult(verifier, token)).toBeUndefined();
    expect(await verifier.verify(token)).not.toBe(first);
  });

  it('is not shared between verifiers with different options', async () => {
    const { issuer, verifier } = await setUp();
    const other = jwtVerifier({ issuer: issuer.url, audience: 'other' });
    const token = await issuer.issue();
    await verifier.verify(token);
    expect(cachedResult(other, token)).toBeUndefined();
    await expect(other.verify(token)).rejects.toMatchObject({ reason: 'audience_mismatch' });
  });

  it('lets the middleware continue in the same tick', async () => {
    const issuer = await startIssuer();
    const middleware = jwtBearer({ issuer: issuer.url, audience: issuer.audience });
    const token = await issuer.issue();
    const ticks: boolean[] = [];
    const app = serve((req, res, next) => {
      let isSameTick = true;
      middleware(req, res, (error) => {
        ticks.push(isSameTick);
        next(error);
      });
      isSameTick = false;
    });
    await get(app, token);
    await get(app, token);
    expect(ticks).toEqual([false, true]);
  });
});

describe('a bounded cache', () => {
  it('never contains more than its limit, and never an expired entry', () => {
    const command = fc.oneof(
      fc.record({ do: fc.constant('set' as const), key: fc.nat(30), seconds: fc.integer({ min: -2, max: 20 }) }),
      fc.record({ do: fc.constant('get' as const), key: fc.nat(30), seconds: fc.constant(0) }),
      fc.record({ do: fc.constant('delete' as const), key: fc.nat(30), seconds: fc.constant(0) }),
      fc.record({ do: fc.constant('pass' as const), key: fc.constant(0), seconds: fc.nat(5) }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.array(command, { maxLength: 200 }), (maxEntries, commands) => {
        let now = 100;
        const cache = new BoundedCache<number>({ maxEntries, clock: () => now });
        const reported = new Map<number, { value: number; until: number }>();
        commands.forEach(({ do: what, key, seconds }, value) => {
          if (what === 'pass') now += seconds;
          if (what === 'delete') cache.delete(String(key));
          if (what === 'delete') reported.delete(key);
          if (what === 'set') {
            cache.set(String(key), value, now + seconds);
            reported.set(key, { value, until: now + seconds });
            expect(cache.get(String(key))).toBe(seconds > 0 ? value : undefined);
          }
          if (what === 'get') {
            const found = cache.get(String(key));
            const expected = reported.get(key);
            if (found !== undefined)
              expect({ found, isOver: now >= (expected?.until ?? 0) }).toEqual({
                found: expected?.value,
                isOver: false,
              });
          }
          expect(cache.size).toBeLessThanOrEqual(maxEntries);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('keeps entries in use while many other entries are added', () => {
    const cache = new BoundedCache<string>({ maxEntries: 100, clock: () => 0 });
    for (let i = 0; i < 50; i++) cache.set(`hot${i}`, 'hot', 10);
    for (let i = 0; i < 10_000; i++) {
      cache.set(`wave${i}`, 'wave', 10);
      cache.get(`hot${i % 50}`);
    }
    const cached = Array.from({ length: 50 }, (_, i) => cache.get(`hot${i}`)).filter((value) => value === 'hot');
    expect(cached).toHaveLength(50);
  });

  it('reuses the space of deleted entries', () => {
    const cache = new BoundedCache<number>({ maxEntries: 2, clock: () => 0 });
    cache.set('a', 1, 10);
    cache.set('b', 2, 10);
    cache.delete('a');
    cache.set('c', 3, 10);
    expect([cache.get('b'), cache.get('c'), cache.size]).toEqual([2, 3, 2]);
  });
});
