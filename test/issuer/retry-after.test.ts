import { describe, expect, it } from '@jest/globals';
import { jwtVerifier } from '../../lib/index.js';
import type { Fault } from '../../lib/testing/faults.js';
import { startIssuer, verifyAsync } from '../support/helpers.js';
import { movableClock, verifierFor } from '../support/introspection.js';
import { advance, simulateTime, watchedFetch } from '../support/time.js';

simulateTime();

function busy(status: number, retryAfter: string, date?: string): Fault {
  return (res) => {
    if (date !== undefined) res.setHeader('Date', date);
    res.writeHead(status, { 'Retry-After': retryAfter }).end();
  };
}

const DATE = 'Tue, 05 Aug 2031 10:00:00 GMT';
const CASES: [string, number, string, string | undefined, number][] = [
  ['seconds', 429, '60', undefined, 60],
  ['seconds', 503, '60', undefined, 60],
  ['a date, relative to the Date of the response', 429, 'Tue, 05 Aug 2031 10:01:30 GMT', DATE, 90],
  ['a date, relative to the Date of the response', 503, 'Tue, 05 Aug 2031 10:01:30 GMT', DATE, 90],
  ['at most five minutes', 429, '100000', undefined, 300],
  ['less than the normal pause', 503, '0', undefined, 1],
  ['a date in the past', 503, 'Tue, 05 Aug 2031 09:00:00 GMT', DATE, 1],
];

describe.each(['metadata', 'jwks'] as const)('Retry-After of the %s', (document) => {
  it.each(CASES)(
    'sets the pause, and the Retry-After for callers: %s (%i, %s)',
    async (_, status, value, date, pause) => {
      const issuer = await startIssuer();
      const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience, fetch: watchedFetch });
      issuer.fail(document, busy(status, value, date));
      const token = await issuer.issue({ exp: issuer.now + 3_600 });
      await expect(verifier.verify(token)).rejects.toMatchObject({ status: 503, retryAfter: pause });
      expect(issuer.requests[document]).toBe(1);
      await advance({ seconds: pause - 0.5 });
      await expect(verifier.verify(token)).rejects.toMatchObject({ status: 503, retryAfter: 1 });
      expect(issuer.requests[document]).toBe(1);
      issuer.heal();
      await advance({ seconds: pause * 0.1 + 1 });
      await expect(verifyAsync(verifier, token)).resolves.toBeDefined();
    },
  );
});

describe('an unreadable Retry-After', () => {
  it('does not change the pause', async () => {
    const issuer = await startIssuer();
    const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience, fetch: watchedFetch });
    issuer.fail('jwks', busy(503, 'soon'));
    const token = await issuer.issue({ exp: issuer.now + 3_600 });
    await expect(verifier.verify(token)).rejects.toMatchObject({ status: 503, retryAfter: 1 });
    issuer.heal();
    await advance({ seconds: 1.1 });
    await expect(verifyAsync(verifier, token)).resolves.toBeDefined();
  });
});

describe('Retry-After of a key set whose old keys are cached', () => {
  it('delays the next fetch, and requests continue with the old keys', async () => {
    const issuer = await startIssuer();
    const verifier = jwtVerifier({
      issuer: issuer.url,
      audience: issuer.audience,
      fetch: watchedFetch,
      keys: { refreshInterval: 60 },
    });
    await verifier.ready();
    issuer.fail('jwks', busy(503, '120'));
    await advance({ seconds: 60 });
    expect(issuer.requests.jwks).toBe(2);
    await advance({ seconds: 100 });
    expect(issuer.requests.jwks).toBe(2);
    await expect(verifyAsync(verifier, await issuer.issue())).resolves.toBeDefined();
  });
});

describe('Retry-After of the introspection endpoint', () => {
  it('with 429 pauses all requests', async () => {
    const issuer = await startIssuer();
    const time = movableClock(issuer.now);
    const verifier = verifierFor(issuer, { clock: time.clock });
    issuer.fail('introspection', busy(429, '60'));
    await expect(verifier.verify('one')).rejects.toMatchObject({ status: 503, retryAfter: 60 });
    time.now += 4.5;
    await expect(verifier.verify('two')).rejects.toMatchObject({ status: 503, retryAfter: 56 });
    expect(issuer.requests.introspection).toBe(1);
    issuer.heal();
    time.now += 56;
    await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
  });

  it('with 503 pauses all requests if the server also responds to a probe with 503', async () => {
    const issuer = await startIssuer();
    const time = movableClock(issuer.now);
    const verifier = verifierFor(issuer, { clock: time.clock });
    issuer.fail('introspection', busy(503, '60'));
    await expect(verifier.verify('one')).rejects.toMatchObject({ status: 503, retryAfter: 60 });
    await expect(verifier.verify('two')).rejects.toMatchObject({ status: 503, retryAfter: 60 });
    expect(issuer.requests.introspection).toBe(2);
  });

  it('with 503 for one token does not block the tokens of other callers', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    issuer.introspection.failFor('poison', busy(503, '60'));
    await expect(verifier.verify('poison')).rejects.toMatchObject({ status: 503, retryAfter: 60 });
    await expect(verifier.verify(issuer.issueOpaque())).resolves.toBeDefined();
  });
});
