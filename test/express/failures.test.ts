import { describe, expect, it } from '@jest/globals';
import {
  bearer,
  ConfigurationError,
  InsufficientScopeError,
  InvalidRequestError,
  InvalidTokenError,
  jwtBearer,
  MissingTokenError,
  ResourceServerError,
  UpstreamError,
} from '../../lib/index.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import {
  expectInvalidToken,
  expectUnavailable,
  get,
  handled,
  serve,
  serveFor,
  serveWithErrorHandler,
  startIssuer,
} from '../support/helpers.js';

function guard(issuer: TestIssuer, errors: 'problem' | 'next'): Parameters<typeof serve> {
  return [jwtBearer({ issuer: issuer.url, audience: issuer.audience, errors })];
}

describe('an unavailable authorization server', () => {
  it('causes an error with Retry-After and without a challenge in the error handler', async () => {
    const issuer = await startIssuer();
    await issuer.goDown();
    const { app, errors } = serveWithErrorHandler(...guard(issuer, 'next'));
    const response = await get(app, await issuer.issue());
    expect([response.status, response.body, handled(app)]).toEqual([503, { caught: true }, 0]);
    expect(response.headers['retry-after']).toMatch(/^[1-9]\d*$/);
    expect(response.headers['www-authenticate']).toBeUndefined();
    expect(errors[0]).toBeInstanceOf(UpstreamError);
  });

  it("causes a problem document with errors: 'problem'", async () => {
    const issuer = await startIssuer();
    await issuer.goDown();
    const app = serve(...guard(issuer, 'problem'));
    const response = await get(app, await issuer.issue());
    expect(response.body).toMatchObject({
      title: 'Service Unavailable',
      status: 503,
      error: 'temporarily_unavailable',
    });
    expect(response.headers['retry-after']).toMatch(/^[1-9]\d*$/);
    expect(handled(app)).toBe(0);
  });

  it('does not affect rejections that need no key', async () => {
    const issuer = await startIssuer();
    await issuer.goDown();
    const app = serveFor(issuer);
    await expectInvalidToken(app, await issuer.issue({ exp: 1 }), 'expired');
    await expectUnavailable(app, await issuer.issue(), 'metadata_unavailable');
  });
});

describe('responses of one middleware to different upstream failures', () => {
  it('have the reason and the Retry-After of each failure, also after more than are prepared', async () => {
    const waits = Array.from({ length: 250 }, (_, i) => i + 1);
    const failures = [...waits, 1, 250].map((wait) => new UpstreamError('keys_unavailable', wait));
    const expected = [...failures, new UpstreamError('store_unavailable', 250)];
    const open = [...expected];
    const app = serve(bearer({ verify: () => Promise.reject(open.shift() ?? new TypeError('no failure is left')) }));
    for (const { message, retryAfter } of expected) {
      const response = await get(app, 'token');
      expect([response.status, response.headers['retry-after']]).toEqual([503, String(retryAfter)]);
      expect(response.body).toEqual({ error: 'temporarily_unavailable', error_description: message });
    }
  });
});

describe('error classes', () => {
  it.each<[string, ResourceServerError, number | undefined, string | undefined]>([
    ['MissingTokenError', new MissingTokenError(), 401, undefined],
    ['InvalidRequestError', new InvalidRequestError('malformed_credentials'), 400, 'invalid_request'],
    ['InvalidTokenError', new InvalidTokenError('expired'), 401, 'invalid_token'],
    ['InsufficientScopeError', new InsufficientScopeError('scope_missing'), 403, 'insufficient_scope'],
    ['UpstreamError', new UpstreamError('keys_unavailable', 1), 503, 'temporarily_unavailable'],
    [
      'ConfigurationError',
      new ConfigurationError({ option: 'o', expected: 'e', got: 'g', fix: 'f' }),
      undefined,
      undefined,
    ],
  ])('have a name, a status and a code: %s', (name, error, status, code) => {
    expect(error).toBeInstanceOf(ResourceServerError);
    expect({ name: error.name, status: error.status, code: error.code }).toEqual({ name, status, code });
    expect(error.headers).toEqual({});
  });

  it.each([
    [0, 1],
    [-5, 1],
    [0.2, 1],
    [7, 7],
    [7.01, 8],
    [Number.NaN, 1],
    [Number.POSITIVE_INFINITY, 86_400],
  ])('round Retry-After up to whole seconds: %d becomes %d', (given, written) => {
    expect(new UpstreamError('keys_unavailable', given).retryAfter).toBe(written);
  });
});
