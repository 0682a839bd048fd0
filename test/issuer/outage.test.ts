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

describe('an issuer that fails from the start', () => {
  it.each(TABLE)('is an outage and no fault of the caller: $fault', async ({ fault }) => {
    const issuer = await startIssuer();
    const app = serveFor(issuer, { keys: { maxBytes: 100_000 } });
    issuer.fail('jwks', fault);
    const refused = await untilDeadline(expectRefused(app, await issuer.issue(), 503, 'temporarily_unavailable'));
    expect(refused.headers).toMatchObject({ 'retry-after': '1', 'cache-control': 'no-store' });
    expect(refused.headers).not.toHaveProperty('www-authenticate');
    expect(refused.body).toEqual({
      error: 'temporarily_unavailable',
      error_description: 'The keys of the authorization server are temporarily unavailable.',
    });
    issuer.heal();
    await advance({ seconds: 1 });
    expect((await get(app, await issuer.issue())).status).toBe(200);
  });

  it('is asked again less and less often, however many callers there are', async () => {
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
    // 1, 2, 4, 8, 16 seconds apart, then 30; each by up to a tenth later, and seen here at the full second after.
    const gaps = seen.slice(1).map((at, i) => at - (seen[i] ?? 0));
    expect(issuer.requests.jwks).toBeLessThanOrEqual(9);
    expect(issuer.requests.jwks).toBeGreaterThanOrEqual(7);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(66);
  });

  it('is waited for by nobody for long once it has failed', async () => {
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

  it('says for how long, and answers at once meanwhile', async () => {
    const issuer = await startIssuer();
    issuer.fail('metadata', 'error');
    const verifier = verifierFor(issuer);
    const token = await issuer.issue();
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'metadata_unavailable', retryAfter: 1 });
    await advance({ seconds: 1.2 });
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'metadata_unavailable', retryAfter: 2 });
    // Two attempts at two well-known addresses.
    expect(issuer.requests.metadata).toBe(4);
  });

  it('tells those who look at the cause of a redirect, and quotes nothing of it', async () => {
    const issuer = await startIssuer();
    issuer.fail('jwks', 'redirect');
    const error: unknown = await verifyAsync(verifierFor(issuer), await issuer.issue()).catch((each: unknown) => each);
    expect(String((error as Error).cause)).toContain('redirects to another origin');
    expect(String((error as Error).cause)).not.toContain('elsewhere');
  });
});

describe('an issuer that fails while its keys are known', () => {
  it.each(TABLE)('is not noticed by callers until maxStale is over: $fault', async ({ fault }) => {
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

  it('is noticed at once with maxStale: 0', async () => {
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

  it('is waited for by no request, even where no timer has run', async () => {
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

  it('cannot be asked for an unknown key, so its callers are told to come again', async () => {
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

  it('may call itself by another name meanwhile: its metadata is not believed', async () => {
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

describe('a kept-alive connection that the issuer had closed', () => {
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

  it('is not replaced for ever', async () => {
    const issuer = await startIssuer();
    issuer.fail('jwks', 'hangup');
    await expect(verifierFor(issuer).verify(await issuer.issue())).rejects.toMatchObject({ status: 503 });
    expect(issuer.requests.jwks).toBe(4);
  });
});
