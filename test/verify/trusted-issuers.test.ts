import { describe, expect, it, jest } from '@jest/globals';
import {
  bearer,
  ConfigurationError,
  type Fetch,
  type IssuerResolver,
  jwtVerifier,
  type JwtVerifierOptions,
  type TokenVerifier,
  trustedIssuers,
  UpstreamError,
} from '../../lib/index.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import { buildAccessToken } from '../../lib/token/access-token.js';
import {
  base64url,
  cachedResult,
  expectHandedOver,
  expectInvalidToken,
  expectUnavailable,
  get,
  serve,
  startIssuer,
  verifyAsync,
} from '../support/helpers.js';
import { movableClock, verifierFor } from '../support/introspection.js';
import { untilDeadline } from '../support/time.js';

function jwtOptions(issuer: TestIssuer, options: Partial<JwtVerifierOptions> = {}): JwtVerifierOptions {
  return { issuer: issuer.url, audience: issuer.audience, ...options };
}

/** A custom verifier that accepts every token. */
function custom(options: Partial<TokenVerifier> = {}, subject = 'custom'): TokenVerifier {
  const mapping = { clientIdClaims: ['client_id'], scopeClaims: ['scope'] };
  const verify = () =>
    Promise.resolve(buildAccessToken({ format: 'opaque', issuer: 'custom', claims: { sub: subject } }, mapping));
  return { verify, ...options };
}

/** A token in JWT format with this payload and without a valid signature. */
function unsigned(payload: unknown): string {
  return `${base64url('{"alg":"ES256"}')}.${base64url(JSON.stringify(payload))}.AAAA`;
}

describe('several issuers', () => {
  it('each have their own audience, algorithms and claims', async () => {
    const [one, two] = [await startIssuer(), await startIssuer({ algorithm: 'Ed25519', audience: 'two' })];
    const app = serve(
      bearer(
        trustedIssuers([
          jwtVerifier(jwtOptions(one, { algorithms: ['ES256'] })),
          jwtVerifier(jwtOptions(two, { algorithms: ['Ed25519'], scopeClaims: ['permissions'] })),
        ]),
      ),
    );
    expect((await get(app, await one.issue({ scope: 'a', permissions: ['b'] }))).body).toMatchObject({ scopes: ['a'] });
    expect((await get(app, await two.issue({ scope: 'a', permissions: ['b'] }))).body).toMatchObject({ scopes: ['b'] });
    await expectInvalidToken(app, await one.issue({ aud: 'two' }), 'audience_mismatch');
    await expectInvalidToken(app, await two.issue({ aud: one.audience }), 'audience_mismatch');
  });

  it('cannot sign tokens for each other', async () => {
    const [one, two] = [await startIssuer(), await startIssuer()];
    const app = serve(bearer(trustedIssuers([jwtVerifier(jwtOptions(one)), jwtVerifier(jwtOptions(two))])));
    await expectInvalidToken(app, await two.issue({ iss: one.url }), 'unknown_key');
    const header = { kid: one.key.kid };
    await expectInvalidToken(app, await two.issue({ iss: one.url }, { header }), 'signature_mismatch');
  });

  it.each<[string, unknown]>([
    ['another issuer', 'https://elsewhere.example.com'],
    ['an issuer with a similar URL', 'http://127.0.0.1/'],
    ['an empty issuer', ''],
    ['none', undefined],
    ['null', null],
    ['a number', 1],
    ['an array', ['https://elsewhere.example.com']],
    ['an object', { toString: 'https://elsewhere.example.com' }],
    ['__proto__', '__proto__'],
    ['constructor', 'constructor'],
  ])('cause no outgoing request for a token of %s', async (_, iss) => {
    const issuer = await startIssuer();
    const calls: string[] = [];
    const watching: Fetch = (url, init) => {
      calls.push(url);
      return fetch(url, init);
    };
    const verifiers = [
      jwtVerifier(jwtOptions(issuer, { fetch: watching, keys: { prefetch: false } })),
      verifierFor(await startIssuer(), { fetch: watching, keys: { prefetch: false } }),
    ];
    await expectInvalidToken(serve(bearer(trustedIssuers(verifiers))), await issuer.issue({ iss }), 'issuer_mismatch');
    expect(calls).toEqual([]);
  });

  it('are compared exactly', async () => {
    const issuer = await startIssuer();
    const app = serve(bearer(trustedIssuers([jwtVerifier(jwtOptions(issuer))])));
    for (const iss of [`${issuer.url}/`, issuer.url.toUpperCase(), ` ${issuer.url}`, `${issuer.url}\u0000`]) {
      await expectInvalidToken(app, await issuer.issue({ iss }), 'issuer_mismatch');
    }
  });

  it('send opaque tokens to the introspection verifiers, one after the other', async () => {
    const [jwt, one, two] = [await startIssuer(), await startIssuer(), await startIssuer()];
    const ofJwts = jwtVerifier(jwtOptions(jwt, { keys: { prefetch: false } }));
    const verifier = trustedIssuers([ofJwts, verifierFor(one), verifierFor(two)]);
    const app = serve(bearer(verifier));
    expect((await get(app, one.issueOpaque({ client_id: 'of-one' }))).body).toMatchObject({ clientId: 'of-one' });
    expect(two.requests.introspection).toBe(0);
    const ofTwo = two.issueOpaque({ client_id: 'of-two' });
    expect((await get(app, ofTwo)).body).toMatchObject({ clientId: 'of-two' });
    expect(one.introspection.timesAsked(ofTwo)).toBe(1);
    await expectInvalidToken(app, 'unknown-to-both', 'inactive');
    expect(verifier.acceptsOpaqueTokens).toBe(true);
    expect(jwt.requests).toMatchObject({ metadata: 0, jwks: 0 });
  });

  it('respond 503 if one of the introspection endpoints is unavailable', async () => {
    const [one, two] = [await startIssuer(), await startIssuer()];
    for (const order of [
      [one, two],
      [two, one],
    ]) {
      const app = serve(bearer(trustedIssuers(order.map((issuer) => verifierFor(issuer)))));
      one.fail('introspection', 'error');
      await expectUnavailable(app, 'unknown', 'introspection_unavailable');
      expect((await get(app, two.issueOpaque())).status).toBe(200);
    }
  });

  it('introspect a JWT of an issuer that is configured for introspection', async () => {
    const [jwt, revocable] = [await startIssuer(), await startIssuer()];
    const app = serve(bearer(trustedIssuers([jwtVerifier(jwtOptions(jwt)), verifierFor(revocable)])));
    const token = await revocable.issue();
    revocable.issueOpaque({ client_id: 'introspected' }, token);
    expect((await get(app, token)).body).toMatchObject({ clientId: 'introspected' });
    await expectInvalidToken(app, await revocable.issue(), 'inactive');
    expect((await get(app, await jwt.issue())).status).toBe(200);
    expect(revocable.requests.introspection).toBe(2);
  });

  it('reject an opaque token if no verifier accepts opaque tokens', async () => {
    const verifier = trustedIssuers([jwtVerifier(jwtOptions(await startIssuer()))]);
    await expectInvalidToken(serve(bearer(verifier)), 'opaque', 'not_a_jwt');
    expect(verifier.acceptsOpaqueTokens).toBe(false);
    for (const token of [undefined, null, 5, '', {}]) {
      await expect(verifier.verify(token as string)).rejects.toMatchObject({ reason: 'not_a_jwt' });
    }
  });

  it('return a cached result in the same tick', async () => {
    const [jwt, opaque] = [await startIssuer(), await startIssuer()];
    const verifier = trustedIssuers([jwtVerifier(jwtOptions(jwt)), verifierFor(opaque)]);
    for (const token of [await jwt.issue(), opaque.issueOpaque()]) {
      expect(cachedResult(verifier, token)).toBeUndefined();
      const result = await verifier.verify(token);
      expect(cachedResult(verifier, token)).toBe(result);
    }
    expect(cachedResult(verifier, 'unknown')).toBeUndefined();
  });

  it('are all included in ready, health, invalidate and close', async () => {
    const [jwt, opaque] = [await startIssuer(), await startIssuer()];
    const own = { ready: jest.fn(), invalidate: jest.fn(), close: jest.fn(), health: jest.fn(() => ({})) };
    const nothing = custom({ issuer: 'nothing' });
    const verifier = trustedIssuers([
      jwtVerifier(jwtOptions(jwt)),
      verifierFor(opaque),
      custom(own as unknown as Partial<TokenVerifier>),
      nothing,
    ]);
    await verifier.ready();
    expect([jwt.requests.jwks, opaque.requests.metadata, own.ready.mock.calls.length]).toEqual([1, 1, 1]);
    expect(verifier.health().issuers).toEqual({
      [jwt.url]: expect.objectContaining({ keys: expect.objectContaining({ state: 'fresh' }) }),
      [opaque.url]: expect.objectContaining({ metadata: expect.objectContaining({ state: 'fresh' }) }),
      'verifier 2': {},
      nothing: {},
    });
    const token = opaque.issueOpaque();
    await verifier.verify(token);
    await verifier.invalidate(token);
    expect(cachedResult(verifier, token)).toBeUndefined();
    await verifier.close();
    expect([own.invalidate.mock.calls, own.close.mock.calls.length]).toEqual([[[token]], 1]);
  });

  it('are not ready until all of them are', async () => {
    const [up, down] = [await startIssuer(), await startIssuer()];
    await down.goDown();
    const verifier = trustedIssuers([jwtVerifier(jwtOptions(up)), jwtVerifier(jwtOptions(down))]);
    await expect(verifier.ready()).rejects.toBeInstanceOf(UpstreamError);
    await verifier.close();
  });
});

describe('a resolver of issuers', () => {
  /** Issuers that are resolved at run time. */
  async function tenants(count: number, options: { maxIssuers?: number; maxAge?: number } = {}) {
    const issuers = await Promise.all(Array.from({ length: count }, () => startIssuer()));
    const time = movableClock(issuers[0]?.now);
    const known = new Map(issuers.map((issuer) => [issuer.url, jwtOptions(issuer)]));
    const resolved: string[] = [];
    const resolve: IssuerResolver = (iss) => {
      resolved.push(iss);
      return known.get(iss);
    };
    const verifier = trustedIssuers(resolve, { ...options, clock: time.clock });
    return { issuers, time, known, resolved, verifier };
  }

  it('is called for the first token of an issuer, and its result is cached', async () => {
    const { issuers, resolved, verifier } = await tenants(2);
    expect(resolved).toEqual([]);
    for (const issuer of [...issuers, ...issuers]) {
      const token = await issuer.issue();
      const result = await verifier.verify(token);
      expect(result.issuer).toBe(issuer.url);
      expect(cachedResult(verifier, token)).toBe(result);
      expect(issuer.requests.jwks).toBe(1);
    }
    expect(resolved).toEqual(issuers.map(({ url }) => url));
    expect(Object.keys(verifier.health().issuers ?? {})).toEqual(resolved);
    await verifier.close();
  });

  it('causes no outgoing request for an issuer that it does not know', async () => {
    const { resolved, verifier } = await tenants(1);
    const stranger = await startIssuer();
    await expectInvalidToken(serve(bearer(verifier)), await stranger.issue(), 'issuer_mismatch');
    expect(resolved).toEqual([stranger.url]);
    expect(stranger.requests).toMatchObject({ metadata: 0, jwks: 0 });
  });

  it.each([undefined, null, '', 5, ['x'], {}])('is not called for an issuer that is %p', async (iss) => {
    const { resolved, verifier } = await tenants(1);
    await expect(verifier.verify(unsigned({ iss }))).rejects.toMatchObject({ status: 401, reason: 'issuer_mismatch' });
    expect(resolved).toEqual([]);
  });

  it('is not called for a token that is not a JWT', async () => {
    const { resolved, verifier } = await tenants(1);
    await expect(verifier.verify('opaque')).rejects.toMatchObject({ reason: 'not_a_jwt' });
    expect([resolved, verifier.acceptsOpaqueTokens]).toEqual([[], false]);
  });

  it('is called once for concurrent first requests', async () => {
    const { issuers, resolved, verifier } = await tenants(1);
    const [issuer] = issuers;
    const tokens = await Promise.all(Array.from({ length: 50 }, async () => (await issuer?.issue()) ?? ''));
    await Promise.all(tokens.map((token) => verifyAsync(verifier, token)));
    expect([resolved.length, issuer?.requests.jwks]).toEqual([1, 1]);
    await verifier.close();
  });

  it('is called again after maxAge; tokens of a removed tenant are rejected and its verifier is closed', async () => {
    const { issuers, time, known, resolved, verifier } = await tenants(1, { maxAge: 60 });
    const token = (await issuers[0]?.issue()) ?? '';
    const result = await verifier.verify(token);
    time.now += 59.9;
    expect(cachedResult(verifier, token)).toBe(result);
    time.now += 0.1;
    expect(cachedResult(verifier, token)).toBeUndefined();
    // The same options keep the same verifier, with its cache.
    expect(await verifier.verify(token)).toBe(result);
    expect(resolved).toHaveLength(2);
    known.clear();
    time.now += 60;
    await expect(verifier.verify(token)).rejects.toMatchObject({ status: 401, reason: 'issuer_mismatch' });
    expect(verifier.health().issuers).toEqual({});
    await verifier.close();
  });

  it('may return changed options for a tenant', async () => {
    const { issuers, time, known, verifier } = await tenants(1, { maxAge: 60 });
    const [issuer] = issuers;
    if (issuer === undefined) throw new Error('there is an issuer');
    const token = await issuer.issue();
    await verifier.verify(token);
    known.set(issuer.url, jwtOptions(issuer, { audience: 'another' }));
    time.now += 60;
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: 'audience_mismatch' });
    await verifier.close();
  });

  it('may return a verifier, which is dropped when its last valid token is the oldest, and is never closed by the package', async () => {
    const closed: string[] = [];
    const resolve: IssuerResolver = (issuer) => custom({ issuer, close: () => void closed.push(issuer) }, issuer);
    const verifier = trustedIssuers(resolve, { maxIssuers: 2 });
    const verify = (iss: string): Promise<unknown> => verifyAsync(verifier, unsigned({ iss }));
    for (const iss of ['a', 'b', 'a', 'c']) await expect(verify(iss)).resolves.toMatchObject({ subject: iss });
    expect(Object.keys(verifier.health().issuers ?? {})).toEqual(['a', 'c']);
    await verify('d');
    expect(Object.keys(verifier.health().issuers ?? {})).toEqual(['c', 'd']);
    expect(closed).toEqual([]);
    await verifier.close();
    expect(closed).toEqual(['c', 'd']);
  });

  it('may return a different verifier with equal properties', async () => {
    class DynamicIssuer implements TokenVerifier {
      readonly #subject: string;

      constructor(subject: string) {
        this.#subject = subject;
      }
      readonly issuer = 'a';
      verify(): ReturnType<TokenVerifier['verify']> {
        return custom({}, this.#subject).verify('');
      }
    }
    let subject = 'before';
    const time = movableClock();
    const verifier = trustedIssuers(() => new DynamicIssuer(subject), { maxAge: 10, clock: time.clock });
    const verify = (): Promise<unknown> => verifyAsync(verifier, unsigned({ iss: 'a' }));
    await expect(verify()).resolves.toMatchObject({ subject: 'before' });
    subject = 'after';
    time.now += 10;
    await expect(verify()).resolves.toMatchObject({ subject: 'after' });
  });

  it('causes no rejection if closing an old verifier fails', async () => {
    const resolve: IssuerResolver = (issuer) => {
      return custom({ issuer, close: () => Promise.reject(new Error('cannot be closed')) }, issuer);
    };
    const verifier = trustedIssuers(resolve, { maxIssuers: 1 });
    await verifier.verify(unsigned({ iss: 'a' }));
    await expect(verifier.verify(unsigned({ iss: 'b' }))).resolves.toMatchObject({ subject: 'b' });
  });

  it.each<[string, IssuerResolver]>([
    [
      'throws',
      () => {
        throw new Error('no database');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no database'))],
  ])('that %s is a failure of the application and not of the caller', async (_, resolve) => {
    const token = unsigned({ iss: 'https://a.example.com' });
    const error = await expectHandedOver(token, bearer(trustedIssuers(resolve)));
    expect(error).toEqual(new Error('no database'));
  });

  it('that failed is called again for the next request', async () => {
    let calls = 0;
    const verifier = trustedIssuers((issuer) => {
      calls++;
      if (calls === 1) throw new Error('no database');
      return custom({ issuer });
    });
    await expect(verifier.verify(unsigned({ iss: 'a' }))).rejects.toThrow('no database');
    await expect(verifier.verify(unsigned({ iss: 'a' }))).resolves.toBeDefined();
  });

  it.each<[string, () => unknown]>([
    ['options of another issuer', () => ({ issuer: 'https://b.example.com', audience: 'x' })],
    ['a verifier of another issuer', () => custom({ issuer: 'https://b.example.com' })],
    ['a verifier of no issuer', () => custom()],
    ['options with a mistake', (): unknown => ({ issuer: 'https://a.example.com' })],
    ['text', () => 'https://a.example.com'],
    ['true', () => true],
  ])('causes a ConfigurationError if it returns %s', async (_, resolve) => {
    const token = unsigned({ iss: 'https://a.example.com' });
    const app = bearer(trustedIssuers(resolve as IssuerResolver));
    expect(await expectHandedOver(token, app)).toBeInstanceOf(ConfigurationError);
  });

  it('that never settles causes 503 after 5 seconds, and is called again then', async () => {
    jest.useFakeTimers({ doNotFake: ['hrtime', 'nextTick', 'queueMicrotask', 'setImmediate', 'clearImmediate'] });
    try {
      let calls = 0;
      const verifier = trustedIssuers((issuer) => {
        calls++;
        return calls === 1 ? new Promise(() => undefined) : custom({ issuer });
      });
      const token = unsigned({ iss: 'a' });
      const waiting = [verifyAsync(verifier, token), verifyAsync(verifier, token)];
      const started = Date.now();
      for (const result of waiting) {
        await expect(untilDeadline(result)).rejects.toMatchObject({
          reason: 'keys_unavailable',
          cause: { message: 'the resolver of trustedIssuers did not respond within 5 s' },
        });
      }
      expect([calls, Date.now() - started]).toEqual([1, 5_000]);
      await expect(verifier.verify(token)).resolves.toBeDefined();
    } finally {
      jest.useRealTimers();
    }
  });

  it('may return null, and is then not called again for every token of an unknown issuer', async () => {
    let calls = 0;
    const verifier = trustedIssuers(() => {
      calls++;
      return null;
    });
    for (let i = 0; i < 20; i++) {
      await expect(verifier.verify(unsigned({ iss: 'a' }))).rejects.toMatchObject({ reason: 'issuer_mismatch' });
    }
    expect(calls).toBe(1);
  });

  it('does not drop a tenant in use because of forged tokens', async () => {
    const { issuers, verifier } = await tenants(3, { maxIssuers: 2 });
    const [used, ...others] = issuers;
    if (used === undefined) throw new Error('there is an issuer');
    const token = await used.issue();
    await verifier.verify(token);
    for (let i = 0; i < 5; i++) {
      for (const other of others) {
        const forged = unsigned({ iss: other.url, aud: other.audience, exp: other.now + 60 });
        await expect(verifier.verify(forged)).rejects.toMatchObject({ status: 401 });
      }
    }
    expect(cachedResult(verifier, token)).toBeDefined();
    await verifier.close();
  });

  it('may return an introspection verifier', async () => {
    const issuer = await startIssuer();
    const kept = verifierFor(issuer);
    const verifier = trustedIssuers((iss) => (iss === issuer.url ? kept : undefined));
    const token = await issuer.issue();
    issuer.issueOpaque({}, token);
    await expect(verifier.verify(token)).resolves.toMatchObject({ format: 'opaque' });
    await verifier.invalidate(token);
    expect(cachedResult(verifier, token)).toBeUndefined();
    await verifier.close();
  });
});

describe('a mistake in the arguments of trustedIssuers', () => {
  const good = jwtVerifier({ issuer: 'https://a.example.com', audience: 'x' });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['an empty array', []],
    ['one verifier that is not in an array', good],
    ['text', 'https://a.example.com'],
    ['options', [{ issuer: 'https://a.example.com', audience: 'x' }]],
    ['an undefined element', [good, undefined]],
    ['two verifiers for one issuer', [good, jwtVerifier({ issuer: 'https://a.example.com', audience: 'y' })]],
  ])('causes a ConfigurationError: %s', (_, verifiers) => {
    const make = (): unknown => trustedIssuers(verifiers as TokenVerifier[]);
    expect(make).toThrow(ConfigurationError);
    expect(make).toThrow(/^trustedIssuers: expected .+, got .+\. .+\.$/);
  });

  it.each<[string, object]>([
    ['maxIssuers', { maxIssuers: 0 }],
    ['maxIssuers', { maxIssuers: 10_001 }],
    ['maxAge', { maxAge: 0 }],
    ['maxAge', { maxAge: 86_401 }],
    ['clock', { clock: 5 }],
    ['"maxissuers"', { maxissuers: 5 }],
  ])('causes a ConfigurationError that names the option: %s', (option, options) => {
    expect(() => trustedIssuers(() => undefined, options)).toThrow(`trustedIssuers: ${option}: expected`);
  });
});
