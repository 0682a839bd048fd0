import { describe, expect, it } from '@jest/globals';
import type { IntrospectionVerifierOptions } from '../../lib/index.js';
import { cachedResult, expectInvalidToken, get, handled, startIssuer, verifyAsync } from '../support/helpers.js';
import { apiFor, movableClock, verifierFor } from '../support/introspection.js';
import { eventually } from '../support/time.js';

async function setUp(options: Partial<IntrospectionVerifierOptions> = {}) {
  const issuer = await startIssuer();
  const time = movableClock(issuer.now);
  const verifier = verifierFor(issuer, { clock: time.clock, ...options });
  return { issuer, time, verifier };
}

describe('a positive result', () => {
  it.each([
    ['60 seconds', {}, 60],
    ['cache.maxAge', { cache: { maxAge: 5 } }, 5],
    ['cache.maxAge, because maxStale applies to outages only', { cache: { maxAge: 5 }, maxStale: 1_000 }, 5],
  ])('is cached for %s', async (_, options, maxAge) => {
    const { issuer, time, verifier } = await setUp(options);
    const token = issuer.issueOpaque();
    const result = await verifier.verify(token);
    time.now += maxAge - 0.001;
    expect(cachedResult(verifier, token)).toBe(result);
    expect(await verifier.verify(token)).toBe(result);
    time.now += 0.001;
    expect(cachedResult(verifier, token)).toBeUndefined();
    expect(await verifier.verify(token)).not.toBe(result);
    expect(issuer.requests.introspection).toBe(2);
  });

  it('is not cached after exp', async () => {
    const { issuer, time, verifier } = await setUp({ cache: { maxAge: 1_000 } });
    const token = issuer.issueOpaque({ exp: time.now + 30 });
    await verifier.verify(token);
    time.now += 29.999;
    expect(cachedResult(verifier, token)).toBeDefined();
    time.now += 0.001;
    expect(cachedResult(verifier, token)).toBeUndefined();
    issuer.revoke(token);
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'inactive' });
  });

  it('of a revoked token ends after cache.maxAge', async () => {
    const { issuer, time, verifier } = await setUp({ cache: { maxAge: 20 } });
    const token = issuer.issueOpaque();
    await verifier.verify(token);
    issuer.revoke(token);
    time.now += 20;
    await expect(verifier.verify(token)).rejects.toMatchObject({ status: 401, reason: 'inactive' });
    expect(cachedResult(verifier, token)).toBeUndefined();
  });

  it('has an age that starts with the request, not with the response', async () => {
    const { issuer, time, verifier } = await setUp({ cache: { maxAge: 20 } });
    const token = issuer.issueOpaque();
    issuer.introspection.rewrite = (response) => {
      time.now += 4;
      return response;
    };
    await verifier.verify(token);
    time.now += 16;
    expect(cachedResult(verifier, token)).toBeUndefined();
  });
});

describe('a negative result', () => {
  it.each([
    ['10 seconds', {}, 10],
    ['cache.negativeMaxAge', { cache: { negativeMaxAge: 3 } }, 3],
  ])('is cached for %s', async (_, options, maxAge) => {
    const { issuer, time, verifier } = await setUp(options);
    const verify = (): Promise<unknown> => verifyAsync(verifier, 'garbage');
    await expect(verify()).rejects.toMatchObject({ reason: 'inactive' });
    time.now += maxAge - 0.001;
    await expect(verify()).rejects.toMatchObject({ status: 401, reason: 'inactive' });
    expect(issuer.requests.introspection).toBe(1);
    time.now += 0.001;
    await expect(verify()).rejects.toMatchObject({ reason: 'inactive' });
    expect(issuer.requests.introspection).toBe(2);
  });

  it('is not cached with negativeMaxAge: 0', async () => {
    const { issuer, verifier } = await setUp({ cache: { negativeMaxAge: 0 } });
    await expect(verifier.verify('early')).rejects.toMatchObject({ reason: 'inactive' });
    issuer.issueOpaque({}, 'early');
    await expect(verifier.verify('early')).resolves.toBeDefined();
  });

  it('has its own cache, so that invalid tokens do not remove valid results', async () => {
    const { issuer, verifier } = await setUp({ cache: { maxEntries: 5 } });
    const good = Array.from({ length: 5 }, () => issuer.issueOpaque());
    for (const token of good) await verifier.verify(token);
    for (let i = 0; i < 100; i++) await verifyAsync(verifier, `garbage-${i}`).catch(() => undefined);
    expect(good.filter((token) => cachedResult(verifier, token) === undefined)).toEqual([]);
  });

  it('is cached in a limited number of entries', async () => {
    const { issuer, verifier } = await setUp({ cache: { maxEntries: 5 } });
    for (let i = 0; i < 20; i++) await verifyAsync(verifier, `garbage-${i}`).catch(() => undefined);
    issuer.introspection.seen.length = 0;
    for (let i = 0; i < 20; i++) await verifyAsync(verifier, `garbage-${i}`).catch(() => undefined);
    expect(issuer.introspection.seen.length).toBeGreaterThanOrEqual(15);
  });

  it('produces a new challenge for each caller', async () => {
    const issuer = await startIssuer();
    const app = apiFor(issuer);
    for (let i = 0; i < 3; i++) await expectInvalidToken(app, 'garbage', 'inactive');
    expect(issuer.requests.introspection).toBe(1);
  });
});

describe('a thousand concurrent requests', () => {
  it('with one valid token cause one call', async () => {
    const { issuer, verifier } = await setUp();
    const token = issuer.issueOpaque();
    const results = await Promise.all(Array.from({ length: 1_000 }, () => verifyAsync(verifier, token)));
    expect(new Set(results).size).toBe(1);
    expect(issuer.requests.introspection).toBe(1);
  });

  it('with one invalid token cause one call', async () => {
    const { issuer, verifier } = await setUp();
    const outcomes = await Promise.allSettled(Array.from({ length: 1_000 }, () => verifyAsync(verifier, 'garbage')));
    const reasons = outcomes.map((outcome) => (outcome.status === 'rejected' ? (outcome.reason as object) : undefined));
    expect(reasons.every((reason) => (reason as { reason?: string }).reason === 'inactive')).toBe(true);
    expect(new Set(reasons).size).toBe(1_000);
    expect(issuer.requests.introspection).toBe(1);
  });

  it('over HTTP cause one call', async () => {
    const issuer = await startIssuer();
    const app = apiFor(issuer);
    const token = issuer.issueOpaque();
    const responses = await Promise.all(Array.from({ length: 100 }, () => get(app, token)));
    expect(responses.filter(({ status }) => status !== 200)).toEqual([]);
    expect([issuer.requests.introspection, handled(app)]).toEqual([1, 100]);
  });
});

describe('invalidate', () => {
  it('removes a result, so that a revocation takes effect immediately', async () => {
    const { issuer, verifier } = await setUp();
    const token = issuer.issueOpaque();
    await verifier.verify(token);
    issuer.revoke(token);
    await verifier.invalidate(token);
    expect(cachedResult(verifier, token)).toBeUndefined();
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'inactive' });
  });

  it('removes a negative result too', async () => {
    const { issuer, verifier } = await setUp();
    await expect(verifier.verify('early')).rejects.toMatchObject({ reason: 'inactive' });
    issuer.issueOpaque({}, 'early');
    await verifier.invalidate('early');
    await expect(verifier.verify('early')).resolves.toBeDefined();
  });

  it('removes a result that is still being fetched', async () => {
    const { issuer, verifier } = await setUp();
    const token = issuer.issueOpaque();
    let respond = (): void => undefined;
    issuer.introspection.failFor(token, (res) => {
      respond = () =>
        res.setHeader('Content-Type', 'application/json').end(`{"active":true,"aud":"${issuer.audience}"}`);
    });
    const running = verifier.verify(token);
    await eventually('the question is put', () => issuer.introspection.timesAsked(token) === 1);
    await verifier.invalidate(token);
    respond();
    await running;
    expect(cachedResult(verifier, token)).toBeUndefined();
  });

  it('changes nothing for other tokens, and ignores unknown tokens', async () => {
    const { issuer, verifier } = await setUp();
    const token = issuer.issueOpaque();
    await verifier.verify(token);
    await verifier.invalidate('another');
    expect(cachedResult(verifier, token)).toBeDefined();
  });
});

describe('cache: false', () => {
  it('sends an introspection request for each verification', async () => {
    const { issuer, verifier } = await setUp({ cache: false });
    const token = issuer.issueOpaque();
    await verifier.verify(token);
    await verifier.verify(token);
    issuer.revoke(token);
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'inactive' });
    expect(issuer.requests.introspection).toBe(3);
    await verifier.invalidate(token);
    await verifier.close();
  });
});
