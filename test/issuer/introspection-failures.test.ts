import type { ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import type { Fetch } from '../../lib/index.js';
import type { Fault } from '../../lib/testing/faults.js';
import {
  cachedResult,
  expectInvalidToken,
  expectUnavailable,
  get,
  handled,
  startIssuer,
  verifyAsync,
} from '../support/helpers.js';
import { apiFor, movableClock, verifierFor } from '../support/introspection.js';
import { advance, simulateTime, untilDeadline, watchedFetch } from '../support/time.js';

simulateTime();

const FAULTS: Fault[] = ['error', 'hang', 'drip', 'truncated', 'html', 'huge', 'redirect', 'missing', 'hangup'];
const STATUSES = [400, 401, 403, 404, 405, 429, 500, 502, 503, 201, 204, 206].map((status) => ({
  fault: (res: ServerResponse) => res.writeHead(status).end(),
  name: `status ${status}`,
}));
const TABLE = [...FAULTS.map((fault) => ({ fault, name: String(fault) })), ...STATUSES];

describe('a server with an invalid response', () => {
  it.each(TABLE)('causes 503 for the caller and no cached result: $name', async ({ fault }) => {
    const issuer = await startIssuer();
    const app = apiFor(issuer, { maxBytes: 100_000 });
    const token = issuer.issueOpaque();
    issuer.fail('introspection', fault);
    await untilDeadline(expectUnavailable(app, token, 'introspection_unavailable'));
    issuer.heal();
    await advance({ seconds: 1 });
    expect((await get(app, token)).status).toBe(200);
  });

  it.each<[string, string]>([
    ['a wrong byte order', '\ufffe{"active":true}'],
    ['an incomplete response', '{"active":true'],
    ['two responses', '{"active":true}{"active":true}'],
    ['a signed response that was not requested', 'eyJhbGciOiJub25lIn0.eyJhY3RpdmUiOnRydWV9.'],
    ['nothing', ''],
  ])('causes 503 if it sends %s', async (_, body) => {
    const issuer = await startIssuer();
    issuer.fail('introspection', (res) => res.setHeader('Content-Type', 'application/json').end(body));
    await expectUnavailable(apiFor(issuer), 'token', 'introspection_unavailable');
  });

  it('causes 503 if its response is not UTF-8', async () => {
    const issuer = await startIssuer();
    const body = Buffer.concat([Buffer.from('{"active":true,"sub":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    issuer.fail('introspection', (res) => res.setHeader('Content-Type', 'application/json').end(body));
    await expectUnavailable(apiFor(issuer), 'token', 'introspection_unavailable');
  });
});

describe('a server that fails for one token', () => {
  it.each(TABLE.filter(({ name }) => !['hang', 'drip', 'hangup', 'truncated'].includes(name)))(
    'still introspects all other tokens: $name',
    async ({ fault }) => {
      const issuer = await startIssuer();
      const app = apiFor(issuer, { maxBytes: 100_000 });
      issuer.introspection.failFor('forged', fault);
      for (let i = 0; i < 5; i++) {
        await expectUnavailable(app, 'forged', 'introspection_unavailable');
        expect((await get(app, issuer.issueOpaque())).status).toBe(200);
      }
      // The failure is not cached either: each verification introspects the token again.
      expect(issuer.introspection.timesAsked('forged')).toBe(5);
    },
  );
});

describe('an unreachable server', () => {
  it.each<Fault>(['hangup', 'hang'])('is called less and less often: %s', async (fault) => {
    const issuer = await startIssuer();
    issuer.fail('introspection', fault);
    const verifier = verifierFor(issuer, { timeout: 1 });
    await verifier.ready();
    const seen: number[] = [];
    for (let seconds = 0; seconds <= 100; seconds++) {
      const before = issuer.requests.introspection;
      await expect(untilDeadline(verifyAsync(verifier, 'token'))).rejects.toMatchObject({ status: 503 });
      if (issuer.requests.introspection > before) seen.push(seconds);
      await advance({ seconds: 1 });
    }
    const gaps = seen.slice(1).map((at, i) => at - (seen[i] ?? 0));
    expect(gaps.slice(0, 5).every((gap, i) => gap <= 2 ** i + 1)).toBe(true);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(31);
    expect(seen.length).toBeLessThanOrEqual(9);
  });

  it('gets no connection during the pause, and callers get 503 immediately', async () => {
    const issuer = await startIssuer();
    const time = movableClock();
    let calls = 0;
    const counting: Fetch = (url, init) => {
      calls++;
      return watchedFetch(url, init);
    };
    const verifier = verifierFor(issuer, { fetch: counting, clock: time.clock });
    await verifier.ready();
    await issuer.goDown();
    calls = 0;
    await expect(verifier.verify('a')).rejects.toMatchObject({ status: 503, retryAfter: 1 });
    const tried = calls;
    for (let i = 0; i < 50; i++) {
      await expect(verifier.verify(`b${i}`)).rejects.toMatchObject({ status: 503, retryAfter: 1 });
    }
    expect(calls).toBe(tried);
    time.now += 1;
    await expect(verifier.verify('a')).rejects.toMatchObject({ retryAfter: 2 });
    expect(calls).toBeGreaterThan(tried);
  });

  it('is called by one caller at a time after the pause, and then by all', async () => {
    const issuer = await startIssuer();
    const time = movableClock(issuer.now);
    const verifier = verifierFor(issuer, { clock: time.clock });
    await verifier.ready();
    await issuer.goDown();
    await expect(verifier.verify('a')).rejects.toMatchObject({ status: 503 });
    await issuer.comeBack();
    time.now += 1;
    const tokens = Array.from({ length: 20 }, () => issuer.issueOpaque());
    const outcomes = await Promise.allSettled(tokens.map((token) => verifyAsync(verifier, token)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    // One request of the package as a probe, and one for the caller's token.
    expect(issuer.requests.introspection).toBe(2);
    const later = await Promise.allSettled(tokens.map((token) => verifyAsync(verifier, token)));
    expect(later.filter(({ status }) => status === 'rejected')).toEqual([]);
  });

  it('causes no longer pause if many callers notice the failure together', async () => {
    const issuer = await startIssuer();
    const time = movableClock(issuer.now);
    const verifier = verifierFor(issuer, { clock: time.clock });
    await verifier.ready();
    await issuer.goDown();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => verifyAsync(verifier, `token-${i}`)),
    );
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
    // Also the requests that were not sent say why.
    for (const outcome of [...outcomes, ...(await Promise.allSettled([verifyAsync(verifier, 'paused')]))]) {
      expect(outcome).toMatchObject({ reason: { cause: { failure: 'unreachable', message: expect.any(String) } } });
    }
    await issuer.comeBack();
    time.now += 1;
    await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
  });

  it('is called again as soon as it has responded, even with an error', async () => {
    const issuer = await startIssuer();
    const time = movableClock(issuer.now);
    const verifier = verifierFor(issuer, { clock: time.clock });
    await verifier.ready();
    await issuer.goDown();
    await expect(verifier.verify('a')).rejects.toMatchObject({ status: 503 });
    await issuer.comeBack();
    time.now += 1;
    issuer.introspection.failFor('forged', 'error');
    await expect(verifier.verify('forged')).rejects.toMatchObject({ status: 503 });
    await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
  });

  it('does not affect tokens whose result is cached', async () => {
    const issuer = await startIssuer();
    const app = apiFor(issuer);
    const token = issuer.issueOpaque();
    expect((await get(app, token)).status).toBe(200);
    await expectInvalidToken(app, 'garbage', 'inactive');
    await issuer.goDown();
    await expectUnavailable(app, 'another', 'introspection_unavailable');
    expect((await get(app, token)).status).toBe(200);
    await expectInvalidToken(app, 'garbage', 'inactive');
  });

  it('has its pending requests aborted by close', async () => {
    const issuer = await startIssuer();
    issuer.fail('introspection', 'hang');
    const verifier = verifierFor(issuer);
    await verifier.ready();
    const waiting = verifyAsync(verifier, 'token');
    waiting.catch(() => undefined);
    await verifier.close();
    await expect(waiting).rejects.toMatchObject({ status: 503 });
  });
});

describe('many concurrent introspection requests', () => {
  it('cause no warning of Node.js about a leak', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    await verifier.ready();
    const warnings: unknown[] = [];
    const note = (warning: Error): void => void warnings.push(warning.name);
    process.on('warning', note);
    await Promise.all(Array.from({ length: 30 }, () => verifyAsync(verifier, issuer.issueOpaque())));
    await advance({ seconds: 1 });
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });
});

describe('a keep-alive connection that the server has closed', () => {
  it('is replaced by a new one, once', async () => {
    const issuer = await startIssuer();
    const app = apiFor(issuer);
    let hangups = 0;
    issuer.fail('introspection', (res) => {
      hangups++;
      if (hangups === 1) res.socket?.destroy();
      else res.setHeader('Content-Type', 'application/json').end(`{"active":true,"aud":"${issuer.audience}"}`);
    });
    expect((await get(app, 'token')).status).toBe(200);
    expect([hangups, handled(app)]).toEqual([2, 1]);
  });

  it('is replaced a limited number of times', async () => {
    const issuer = await startIssuer();
    issuer.fail('introspection', 'hangup');
    await expect(verifierFor(issuer).verify('token')).rejects.toMatchObject({ status: 503 });
    // Four attempts for the token, and four for the probe.
    expect(issuer.requests.introspection).toBe(8);
  });
});

describe('a token that always breaks the connection', () => {
  it.each<Fault>(['hangup', 'hang'])('does not affect other tokens: %s', async (fault) => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    await verifier.ready();
    issuer.introspection.failFor('poison', fault);
    for (let i = 0; i < 3; i++) {
      await expect(untilDeadline(verifyAsync(verifier, 'poison'))).rejects.toMatchObject({ status: 503 });
      await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
    }
  });

  it('is rejected if the server responds that it does not support this type of token', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    issuer.fail('introspection', (res) => {
      res.writeHead(400, { 'Content-Type': 'application/json' }).end('{"error":"unsupported_token_type"}');
    });
    await expect(verifier.verify('a.b.c')).rejects.toMatchObject({ reason: 'inactive' });
  });
});

describe('a flood of forged tokens', () => {
  it('causes at most 100 concurrent requests', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    await verifier.ready();
    let concurrent = 0;
    let maximum = 0;
    issuer.fail('introspection', (res) => {
      maximum = Math.max(maximum, ++concurrent);
      setImmediate(() => {
        concurrent--;
        res.setHeader('Content-Type', 'application/json').end('{"active":false}');
      });
    });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 2_000 }, (_, i) => verifyAsync(verifier, `forged-${i}`)),
    );
    const statuses = outcomes.map((each) => each.status === 'rejected' && (each.reason as { status: number }).status);
    expect(maximum).toBeLessThanOrEqual(100);
    expect(statuses.filter((status) => status === 401)).toHaveLength(1_100);
    expect(statuses.filter((status) => status === 503)).toHaveLength(900);
    await expect(verifier.verify('one-more')).rejects.toMatchObject({ status: 401 });
  });
});

describe('maxStale', () => {
  async function stale(claims: Record<string, unknown> = {}, maxStale = 100) {
    const issuer = await startIssuer();
    const time = movableClock(issuer.now);
    const verifier = verifierFor(issuer, { clock: time.clock, maxStale, cache: { maxAge: 60 } });
    const token = issuer.issueOpaque({ exp: time.now + 10_000, ...claims });
    const result = await verifier.verify(token);
    const verify = (): Promise<unknown> => verifyAsync(verifier, token);
    return { issuer, time, verifier, token, result, verify };
  }

  it('allows the last valid result during an outage, for that time', async () => {
    const { issuer, time, verifier, token, result, verify } = await stale();
    await issuer.goDown();
    time.now += 159;
    expect(cachedResult(verifier, token)).toBeUndefined();
    await expect(verify()).resolves.toBe(result);
    // The server is not called now. The result is still used.
    await expect(verify()).resolves.toBe(result);
    time.now += 1;
    await expect(verify()).rejects.toMatchObject({ status: 503 });
  });

  it.each<Fault>(['error', 'html', 'hangup'])('allows it in every kind of outage: %s', async (fault) => {
    const { issuer, time, result, verify } = await stale();
    issuer.fail('introspection', fault);
    time.now += 100;
    await expect(verify()).resolves.toBe(result);
  });

  it('never allows it after exp', async () => {
    const { issuer, time, verify } = await stale({ exp: Math.floor(Date.now() / 1000) + 90 });
    await issuer.goDown();
    time.now += 89;
    await expect(verify()).resolves.toBeDefined();
    time.now += 1;
    await expect(verify()).rejects.toMatchObject({ status: 503 });
  });

  it('never allows it after the server has rejected the token', async () => {
    const { issuer, time, token, verify } = await stale();
    issuer.revoke(token);
    time.now += 60;
    await expect(verify()).rejects.toMatchObject({ status: 401 });
    await issuer.goDown();
    time.now += 10;
    await expect(verify()).rejects.toMatchObject({ status: 503 });
  });

  it('never allows it after invalidate', async () => {
    const { issuer, verifier, token, verify } = await stale();
    await verifier.invalidate(token);
    await issuer.goDown();
    await expect(verify()).rejects.toMatchObject({ status: 503 });
  });

  it('is 0 by default', async () => {
    const { issuer, time, verify } = await stale({}, 0);
    await issuer.goDown();
    time.now += 59;
    await expect(verify()).resolves.toBeDefined();
    time.now += 1;
    await expect(verify()).rejects.toMatchObject({ status: 503 });
  });

  it('has no effect while the server responds', async () => {
    const { issuer, time, verify } = await stale();
    time.now += 60;
    await verify();
    expect(issuer.requests.introspection).toBe(2);
  });
});
