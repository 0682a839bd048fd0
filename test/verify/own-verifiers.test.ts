import { describe, expect, it } from '@jest/globals';
import {
  type AccessToken,
  bearer,
  ConfigurationError,
  InvalidTokenError,
  type InvalidTokenReason,
  jwtVerifier,
  type TokenVerifier,
  UpstreamError,
} from '../../lib/index.js';
import { ACCESS_TOKEN } from '../support/access-token.js';
import {
  expectHandedOver,
  expectInvalidToken,
  expectUnavailable,
  get,
  handled,
  serve,
  startIssuer,
  verifyAsync,
} from '../support/helpers.js';

/** A verifier that returns what the function returns. */
function verifierThat(verify: () => unknown): TokenVerifier {
  return { verify: verify as () => Promise<AccessToken> };
}

describe('a custom verifier', () => {
  it('is an object with one function', async () => {
    const seen: string[] = [];
    const verifier: TokenVerifier = {
      verify: (token) => {
        seen.push(token);
        return Promise.resolve(ACCESS_TOKEN);
      },
    };
    const response = await get(serve(bearer(verifier)), 'opaque-1');
    expect(response.body).toEqual({ clientId: 'shop', subject: 'alice', scopes: ['a'], isMachine: false });
    expect(seen).toEqual(['opaque-1']);
  });

  it('may reject a token', async () => {
    const app = serve(bearer(verifierThat(() => Promise.reject(new InvalidTokenError('expired')))));
    await expectInvalidToken(app, 'x', 'expired');
  });

  it.each<[string, (error: Error) => unknown]>([
    ['rejects', (error) => Promise.reject(error)],
    [
      'throws',
      (error) => {
        throw error;
      },
    ],
  ])('may reject a token with a frozen error: it %s', async (_what, fail) => {
    const error = Object.freeze(new InvalidTokenError('expired'));
    await expectInvalidToken(serve(bearer(verifierThat(() => fail(error)))), 'x', 'expired');
  });

  it.each<[string, (error: Error) => unknown]>([
    ['rejects', (error) => Promise.reject(error)],
    [
      'throws',
      (error) => {
        throw error;
      },
    ],
  ])('may fail with an error whose getter throws, and the request still ends: it %s', async (_what, fail) => {
    const failure = new Error('broken');
    const error = Object.defineProperty(new InvalidTokenError('expired'), 'status', {
      get: () => {
        throw failure;
      },
    });
    expect(await expectHandedOver('x', bearer(verifierThat(() => fail(error))))).toBe(failure);
  });

  it.each<[string, InvalidTokenReason, object]>([
    ['inherit', 'binding_unproven', Object.create({ cnf: { jkt: 'a' } }) as object],
    ['have in what they inherit', 'binding_unproven', { cnf: Object.create({ 'x5t#S256': 'a' }) as object }],
    [
      'compute',
      'binding_unproven',
      new (class {
        get cnf() {
          return { jkt: 'a' };
        }
      })(),
    ],
  ])('may return claims that %s a binding, and the binding is enforced', async (_what, reason, claims) => {
    const verifier = verifierThat(() => Promise.resolve({ ...ACCESS_TOKEN, claims }));
    await expectInvalidToken(serve(bearer(verifier)), 'x', reason);
  });

  it.each<[string, () => unknown]>([
    ['rejects', () => Promise.reject(new UpstreamError('keys_unavailable', 7.2))],
    [
      'throws',
      () => {
        throw new UpstreamError('keys_unavailable', 7.2);
      },
    ],
  ])('may have an upstream that fails: it %s', async (_what, verify) => {
    const response = await expectUnavailable(serve(bearer(verifierThat(verify))), 'x', 'keys_unavailable');
    expect(response.headers['retry-after']).toBe('8');
  });

  it('rejects a token only with InvalidTokenError; any other error is not the caller’s fault', async () => {
    const failure = new TypeError('secret detail');
    expect(await expectHandedOver('x', bearer(verifierThat(() => Promise.reject(failure))))).toBe(failure);
  });

  /* eslint-disable @typescript-eslint/prefer-promise-reject-errors -- Custom verifiers may reject with any value. */
  const THROWN: [string, unknown][] = [
    ['undefined', undefined],
    ['null', null],
    ["'route'", 'route'],
    ["'router'", 'router'],
    ['a string', 'no'],
    ['0', 0],
    ['false', false],
    ['an object with a status', { status: 200, headers: {} }],
  ];

  it.each(THROWN)('never lets a request pass by throwing %s', async (_what, thrown) => {
    const verify = (): never => {
      throw thrown;
    };
    const error = await expectHandedOver('x', bearer(verifierThat(verify)));
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error).toMatchObject({ reason: 'verifier_invalid', cause: thrown });
  });

  it.each(THROWN)('never lets a request pass by rejecting with %s', async (_what, thrown) => {
    const error = await expectHandedOver('x', bearer(verifierThat(() => Promise.reject(thrown))));
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error).toMatchObject({ reason: 'verifier_invalid', cause: thrown });
  });

  it.each(THROWN)('never lets a request pass by throwing %s synchronously', async (_what, thrown) => {
    const verifier: TokenVerifier = {
      verify: () => {
        throw thrown;
      },
    };
    expect(await expectHandedOver('x', bearer(verifier))).toMatchObject({ reason: 'verifier_invalid', cause: thrown });
  });
  /* eslint-enable */

  const GARBAGE: [string, unknown][] = [
    ['null', null],
    ['true', true],
    ['a string', 'alice'],
    ['an empty object', {}],
    ['only claims', { claims: {} }],
    ['claims that are null', { claims: null, scopes: [] }],
    ['claims that are a string', { claims: 'x', scopes: [] }],
    ['scopes that are a string', { claims: {}, scopes: 'a b' }],
    ['an array', []],
    ['an array of access tokens', [ACCESS_TOKEN]],
  ];

  it.each<[string, unknown]>([['nothing', undefined], ...GARBAGE])(
    'never lets a request pass by returning %s',
    async (_what, given) => {
      for (const verify of [() => given, () => Promise.resolve(given)]) {
        const error = await expectHandedOver('x', bearer(verifierThat(verify)));
        expect(error).toBeInstanceOf(ConfigurationError);
        expect(error).toMatchObject({ reason: 'verifier_invalid' });
      }
    },
  );

  it('is called for every request, so that nothing bypasses a wrapper', async () => {
    let calls = 0;
    const issuer = await startIssuer();
    const inner = jwtVerifier({ issuer: issuer.url, audience: issuer.audience });
    const counting: TokenVerifier = { ...inner, verify: (token) => verifyAsync(inner, token).finally(() => calls++) };
    const token = await issuer.issue();
    const app = serve(bearer(counting));
    await get(app, token);
    await get(app, token);
    expect([calls, handled(app)]).toEqual([2, 2]);
  });
});
