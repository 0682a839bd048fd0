import { describe, expect, it } from '@jest/globals';
import { jwtVerifier, type KeyOptions, type Store } from '../../lib/index.js';
import type { Fault } from '../../lib/testing/faults.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import { expectRefused, get, serveFor, startIssuer, verifyAsync } from '../support/helpers.js';
import { advance, simulateTime, untilDeadline, watchedFetch } from '../support/time.js';

simulateTime();

const FAULTS: Fault[] = ['error', 'hang', 'drip', 'truncated', 'html', 'huge', 'redirect', 'missing', 'hangup'];
const TABLE = FAULTS.map((fault) => ({ fault }));
const DAY = 86_400;

function verifierFor(
  issuer: TestIssuer,
  options: { keys?: KeyOptions; keySnapshot?: Store } = {},
): ReturnType<typeof jwtVerifier> {
  return jwtVerifier({ issuer: issuer.url, audience: issuer.audience, fetch: watchedFetch, ...options });
}

function longLived(issuer: TestIssuer): Promise<string> {
  return issuer.issue({ exp: issuer.now + 30 * DAY });
}

describe('an issuer that fails from the beginning', () => {
  it.each(TABLE)('causes 503 and no challenge: $fault', async ({ fault }) => {
    const issuer = await startIssuer();
    const app = serveFor(issuer, { keys: { maxBytes: 100_000 } });
    issuer.fail('jwks', fault);
    const unavailable = await untilDeadline(expectRefused(app, await issuer.issue(), 503, 'temporarily_unavailable'));
    expect(unavailable.headers).toMatchObject({ 'retry-after': '1', 'cache-control': 'no-store' });
    expect(unavailable.headers).not.toHaveProperty('www-authenticate');
    expect(unavailable.body).toEqual({
      error: 'temporarily_unavailable',
      error_description: 'The keys of the authorization server are temporarily unavailable.',
    });
    issuer.heal();
    await advance({ seconds: 1 });
    expect((await get(app, await issuer.issue())).status).toBe(200);
  });

  it('is called less and less often, regardless of the number of callers', async () => {
    const issuer = await startIssuer();
    issuer.fail('jwks', 'error');
    const verifier = verifierFor(issuer);
    const token = await longLived(issuer);
    const verify20 = async (): Promise<void> => {
      const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => verifyAsync(verifier, token)));
      expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
    };
    const seen: number[] = [];
    for (let seconds = 0; seconds <= 128; seconds++) {
      const before = issuer.requests.jwks;
      await verify20();
      if (issuer.requests.jwks > before) seen.push(seconds);
      await advance({ seconds: 1 });
    }
    // The pauses are 1, 2, 4, 8, 16 and then 30 seconds, each up to a tenth longer. The test sees the next full second.
    const gaps = seen.slice(1).map((at, i) => at - (seen[i] ?? 0));
    expect(issuer.requests.jwks).toBeLessThanOrEqual(9);
    expect(issuer.requests.jwks).toBeGreaterThanOrEqual(7);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(66);
  });

  it('delays only the first callers', async () => {
    const issuer = await startIssuer();
    issuer.fail('jwks', 'hang');
    const verifier = verifierFor(issuer, { keys: { timeout: 30 } });
    const token = await longLived(issuer);
    await expect(untilDeadline(verifyAsync(verifier, token))).rejects.toMatchObject({ status: 503 });
    await advance({ seconds: 2 });
    const began = Date.now();
    await expect(untilDeadline(verifyAsync(verifier, token))).rejects.toMatchObject({ status: 503 });
    expect(Date.now() - began).toBeLessThanOrEqual(2_000);
  });

  it('causes an immediate 503 with Retry-After during the pause', async () => {
    const issuer = await startIssuer();
    issuer.fail('metadata', 'error');
    const verifier = verifierFor(issuer);
    const token = await issuer.issue();
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'metadata_unavailable', retryAfter: 1 });
    await advance({ seconds: 1.2 });
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'metadata_unavailable', retryAfter: 2 });
    // Two attempts at each of two well-known URLs.
    expect(issuer.requests.metadata).toBe(4);
  });

  it('has a redirect reported in the cause, without its text', async () => {
    const issuer = await startIssuer();
    issuer.fail('jwks', 'redirect');
    const error: unknown = await verifyAsync(verifierFor(issuer), await issuer.issue()).catch((each: unknown) => each);
    expect(String((error as Error).cause)).toContain('redirects to another origin');
    expect(String((error as Error).cause)).not.toContain('elsewhere');
  });
});

describe('an issuer that fails while its keys are cached', () => {
  it.each(TABLE)('does not affect callers until maxStale is over: $fault', async ({ fault }) => {
    const issuer = await startIssuer();
    const app = serveFor(issuer, {
      fetch: watchedFetch,
      keys: { refreshInterval: 60, maxStale: 600, maxBytes: 100_000 },
    });
    const token = await longLived(issuer);
    expect((await get(app, token)).status).toBe(200);
    issuer.fail('jwks', fault);
    issuer.fail('metadata', fault);
    await advance({ seconds: 80 });
    expect((await get(app, token)).status).toBe(200);
    expect((await get(app, await longLived(issuer))).status).toBe(200);
    await advance({ seconds: 600 });
    await untilDeadline(expectRefused(app, token, 503, 'temporarily_unavailable'));
    issuer.heal();
    await advance({ seconds: 34 });
    expect((await get(app, token)).status).toBe(200);
  });

  it('affects callers immediately with maxStale: 0', async () => {
    const issuer = await startIssuer();
    const app = serveFor(issuer, { fetch: watchedFetch, keys: { refreshInterval: 60, maxStale: 0 } });
    const token = await issuer.issue();
    expect((await get(app, token)).status).toBe(200);
    await issuer.goDown();
    await advance({ seconds: 59 });
    expect((await get(app, token)).status).toBe(200);
    await advance({ seconds: 2 });
    await expectRefused(app, token, 503, 'temporarily_unavailable');
  });

  it('delays no request, even if no timer has run', async () => {
    const issuer = await startIssuer();
    let now = 1_000_000_000;
    const clock = (): number => now;
    const verifier = jwtVerifier({
      issuer: issuer.url,
      audience: issuer.audience,
      clock,
      keys: { refreshInterval: 60 },
    });
    const claims = { iat: now, exp: now + DAY };
    await verifier.verify(await issuer.issue(claims));
    await issuer.goDown();
    now += 3_600;
    await expect(verifier.verify(await issuer.issue(claims))).resolves.toBeDefined();
    expect(verifier.health().keys).toMatchObject({ age: 3_600, state: 'stale' });
    await issuer.comeBack();
    await issuer.rotate();
    now += 2;
    await expect(verifier.verify(await issuer.issue(claims))).resolves.toBeDefined();
  });

  it('cannot be called for an unknown key, so callers get 503 with Retry-After', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    await verifier.ready();
    await issuer.rotate();
    await issuer.goDown();
    const token = await longLived(issuer);
    await expect(verifier.verify(token)).rejects.toMatchObject({ status: 503, reason: 'keys_unavailable' });
    await issuer.comeBack();
    await advance({ seconds: 2 });
    await expect(verifier.verify(token)).resolves.toBeDefined();
  });

  it('may name another issuer in its metadata, which is rejected', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, { keys: { refreshInterval: 60 } });
    await verifier.ready();
    issuer.metadata.issuer = 'https://evil.example.com';
    issuer.metadata.jwks_uri = `${issuer.url}/jwks-of-evil`;
    await advance({ seconds: 130 });
    await expect(verifier.verify(await issuer.issue())).resolves.toBeDefined();
    expect(verifier.health().metadata).toMatchObject({ state: 'stale' });
  });

  it('may have moved its keys', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, { keys: { refreshInterval: 60 } });
    await verifier.ready();
    issuer.metadata.jwks_uri = `${issuer.jwksUri}-moved`;
    issuer.fail('jwks', (res, url) => {
      if (url.endsWith('-moved')) res.end(JSON.stringify({ keys: issuer.published }));
      else res.writeHead(410).end();
    });
    await issuer.rotate();
    const token = await issuer.issue();
    await advance({ seconds: 62 });
    await expect(verifier.verify(token)).resolves.toBeDefined();
    expect(verifier.health().keys).toMatchObject({ state: 'fresh', failures: 0 });
  });
});

describe('a keep-alive connection that the issuer has closed', () => {
  it('is replaced by a new one, once', async () => {
    const issuer = await startIssuer();
    let hangups = 0;
    issuer.fail('jwks', (res) => {
      hangups++;
      if (hangups === 1) res.socket?.destroy();
      else res.end(JSON.stringify({ keys: issuer.published }));
    });
    await expect(verifierFor(issuer).verify(await issuer.issue())).resolves.toBeDefined();
    expect(hangups).toBe(2);
  });

  it('is replaced a limited number of times', async () => {
    const issuer = await startIssuer();
    issuer.fail('jwks', 'hangup');
    await expect(verifierFor(issuer).verify(await issuer.issue())).rejects.toMatchObject({ status: 503 });
    expect(issuer.requests.jwks).toBe(4);
  });
});
