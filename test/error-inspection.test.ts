import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { ConfigurationError, InvalidTokenError, jwtVerifier, UpstreamError } from '../lib/index.js';
import { describeCauses } from '../lib/util/causes.js';
import { startIssuer, verifyAsync } from './support/helpers.js';
import { verifierFor } from './support/introspection.js';
import { recordWarnings } from './support/warnings.js';

const firstLines = (error: unknown): string => inspect(error).split('\n').slice(0, 4).join('\n');

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('console.log of an error', () => {
  it('shows the root cause and its code in the first lines', async () => {
    recordWarnings();
    const issuer = await startIssuer();
    await issuer.goDown();
    const verifier = jwtVerifier({ issuer: issuer.url, audience: 'api' });
    const error = await failureOf(verifyAsync(verifier, await issuer.issue({ aud: 'api' })));
    expect(error).toBeInstanceOf(UpstreamError);
    expect(firstLines(error)).toMatch(/ECONNREFUSED/);
    expect(firstLines(error)).toContain(issuer.url);
    expect(inspect(error).match(/UpstreamError/g)).toHaveLength(1);
    await verifier.close();
  });

  it('shows the check that failed', async () => {
    const issuer = await startIssuer();
    const verifier = jwtVerifier({ issuer: issuer.url, audience: 'api' });
    const error = await failureOf(verifyAsync(verifier, await issuer.issue({ aud: 'other' })));
    // Without the values: they are claims.
    expect(firstLines(error)).toMatch(/InvalidTokenError: .*\n {2}cause: \{ checked: 'aud' \}/);
    expect(firstLines(error)).toContain("reason: 'audience_mismatch'");
  });

  it('shows no password of a URL that an error quotes', () => {
    const cause = new Error('connect failed: redis://user:p@ss/word@redis.example.com:6379 and redis://:word@b');
    const error = new UpstreamError('store_unavailable', 1, { cause });
    for (const text of [inspect(error), describeCauses(error)]) {
      expect(text).toContain('redis://…@redis.example.com:6379 and redis://…@b');
      expect(text).not.toContain('word');
    }
  });

  it('escapes what a caller chose, so that nobody can forge lines', () => {
    const found = 'a\nb\u0007c\u007fd\u0085e\u2028f\u2029g';
    const text = inspect(new InvalidTokenError('issuer_mismatch', { cause: { checked: 'iss', expected: '', found } }));
    // eslint-disable-next-line no-control-regex -- these are the characters
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/);
    expect(text.split('\n').every((line, i) => i === 0 || line.startsWith('  '))).toBe(true);
  });

  it('ends for an error that is its own cause', () => {
    const error = new UpstreamError('keys_unavailable', 1);
    error.cause = error;
    expect(inspect(error)).toContain('UpstreamError');
    expect(inspect(new UpstreamError('keys_unavailable', 1, { cause: 'text' }))).toContain("cause: 'text'");
    const several = new AggregateError([new Error('first'), new Error('second')], 'both');
    expect(inspect(new UpstreamError('keys_unavailable', 1, { cause: several }))).toMatch(/both[^]*first[^]*second/);
  });

  it('has the stack of an error that the programmer must fix', () => {
    const problem = { option: 'jwtBearer: issuer', expected: 'a URL', got: 'none', fix: 'Pass one.' };
    expect(inspect(new ConfigurationError(problem))).toMatch(/^ConfigurationError: jwtBearer: issuer[^]*\n {4}at /);
  });
});

describe('a rejection from the cache', () => {
  it('still has the check that failed', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    const token = issuer.issueOpaque({ aud: 'other' });
    const errors = [await failureOf(verifyAsync(verifier, token)), await failureOf(verifyAsync(verifier, token))];
    expect(issuer.introspection.timesAsked(token)).toBe(1);
    for (const error of errors) expect(error).toMatchObject({ cause: { checked: 'aud', found: 'other' } });
  });

  it('keeps only the beginning of a long value', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    const token = issuer.issueOpaque({ aud: 'x'.repeat(10_000) });
    await failureOf(verifyAsync(verifier, token));
    const error = (await failureOf(verifyAsync(verifier, token))) as InvalidTokenError;
    expect(JSON.stringify(error.cause).length).toBeLessThan(700);
    expect(error.cause).toMatchObject({ checked: 'aud', expected: [issuer.audience] });
    expect(Object.keys(error.cause as object)).toEqual(['checked']);
  });
});
