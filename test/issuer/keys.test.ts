import { createPublicKey, verify } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { jwtVerifier, type KeyOptions } from '../../lib/index.js';
import { makeSigningKey, type TestIssuer } from '../../lib/testing/issuer.js';
import { base64url, cachedResult, expectRefused, get, serveFor, startIssuer, verifyAsync } from '../support/helpers.js';
import { SMALL_ORDER } from '../support/small-order.js';
import { advance, eventually, simulateTime, watchedFetch } from '../support/time.js';

simulateTime();

function verifierFor(issuer: TestIssuer, keys: KeyOptions = {}): ReturnType<typeof jwtVerifier> {
  return jwtVerifier({
    issuer: issuer.url,
    audience: issuer.audience,
    keys: { prefetch: false, ...keys },
    fetch: watchedFetch,
  });
}

const DAYS = 30 * 86_400;

/** A token that does not expire during the simulated time. */
function longLived(issuer: TestIssuer): Promise<string> {
  return issuer.issue({ exp: issuer.now + DAYS });
}

describe('keys that are fresh', () => {
  it('are fetched once, with the metadata, for a thousand concurrent first requests', async () => {
    const issuer = await startIssuer();
    const app = serveFor(issuer).listen(0);
    const { port } = app.address() as { port: number };
    const token = await issuer.issue();
    const tokens = await Promise.all(Array.from({ length: 10 }, () => issuer.issue()));
    const all = Array.from({ length: 1_000 }, (_, i) => tokens[i % 10] ?? token);
    const statuses = await Promise.all(
      all.map(async (each) => {
        const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { authorization: `Bearer ${each}` } });
        await response.arrayBuffer();
        return response.status;
      }),
    );
    app.close();
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(issuer.requests).toMatchObject({ metadata: 1, jwks: 1 });
  });

  it.each([
    { title: 'refreshInterval', keys: { refreshInterval: 100 }, cacheControl: 'max-age=5000', fresh: 100 },
    { title: 'max-age', keys: {}, cacheControl: 'public, max-age=900', fresh: 900 },
    { title: 'at least a minute', keys: {}, cacheControl: 'no-cache, max-age=0', fresh: 60 },
    { title: 'at most a day', keys: {}, cacheControl: 'max-age=9999999', fresh: 86_400 },
    { title: 'ten minutes without Cache-Control', keys: {}, cacheControl: undefined, fresh: 600 },
  ])('are refreshed in the background before they expire: $title', async ({ keys, cacheControl, fresh }) => {
    const issuer = await startIssuer();
    issuer.cacheControl = cacheControl;
    const verifier = verifierFor(issuer, keys);
    await verifier.ready();
    await advance({ seconds: fresh * 0.75 - 1 });
    expect(issuer.requests.jwks).toBe(1);
    await advance({ seconds: fresh * 0.15 + 2 });
    await eventually('a refresh', () => issuer.requests.jwks === 2);
    expect(verifier.health().keys.state).toBe('fresh');
  });

  it('verify requests while a refresh runs', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, { refreshInterval: 100 });
    await verifier.ready();
    issuer.fail('jwks', 'hang');
    await advance({ seconds: 91 });
    await eventually('the refresh', () => issuer.requests.jwks >= 2);
    await expect(verifier.verify(await issuer.issue())).resolves.toMatchObject({ clientId: 'client-1' });
  });

  it('are fetched at different times by different processes', async () => {
    const issuer = await startIssuer();
    const verifiers = Array.from({ length: 20 }, () => verifierFor(issuer, { refreshInterval: 1_000 }));
    await Promise.all(verifiers.map((verifier) => verifier.ready()));
    await advance({ seconds: 825 });
    await eventually('some refreshes', () => issuer.requests.jwks > 20);
    expect(issuer.requests.jwks).toBeLessThan(40);
  });
});

describe('a key that is rotated', () => {
  it('is found immediately, and the old key is rejected from then on', async () => {
    const issuer = await startIssuer();
    const app = serveFor(issuer);
    const old = await issuer.issue();
    expect((await get(app, old)).status).toBe(200);
    await issuer.rotate();
    expect((await get(app, await issuer.issue())).status).toBe(200);
    await expectRefused(app, old, 401, 'invalid_token');
    expect(issuer.requests.jwks).toBe(3);
  });

  it('is found by many concurrent requests with one fetch', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    await verifier.ready();
    await issuer.rotate();
    const tokens = await Promise.all(Array.from({ length: 50 }, () => issuer.issue()));
    await Promise.all(tokens.map((token) => verifyAsync(verifier, token)));
    expect(issuer.requests.jwks).toBe(2);
  });

  it('is found even if the keys of the issuer have no key ids', async () => {
    const issuer = await startIssuer();
    const withoutIds = (): void => {
      issuer.published = issuer.published.map((key) => ({ ...(key as object), kid: undefined }));
    };
    withoutIds();
    const verifier = verifierFor(issuer);
    await verifier.ready();
    await issuer.rotate();
    withoutIds();
    const token = await issuer.issue({}, { header: { kid: undefined } });
    await expect(verifier.verify(token)).resolves.toMatchObject({ format: 'jwt' });
  });

  it('is rejected after the next refresh without it, even if the result is cached', async () => {
    const issuer = await startIssuer();
    const app = serveFor(issuer, { keys: { refreshInterval: 60 }, fetch: watchedFetch });
    const token = await issuer.issue();
    expect((await get(app, token)).status).toBe(200);
    const other = await makeSigningKey();
    issuer.published = [other.publicJwk];
    expect((await get(app, token)).status).toBe(200);
    await advance({ seconds: 55 });
    await eventually('the refresh', () => issuer.requests.jwks === 2);
    await advance({ seconds: 6 });
    const response = await expectRefused(app, token, 401, 'invalid_token');
    expect(response.body).toMatchObject({ error_description: 'The access token was signed with an unknown key.' });
  });

  it('does not remove cached results if a refresh returns the same keys', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, { refreshInterval: 60 });
    const token = await issuer.issue();
    await verifier.verify(token);
    await advance({ seconds: 55 });
    await eventually('the refresh', () => issuer.requests.jwks === 2);
    expect(cachedResult(verifier, token)).toMatchObject({ clientId: 'client-1' });
  });
});

describe('a flood of unknown key ids', () => {
  it('causes a burst of fetches, then one fetch per cooldown, and does not affect valid callers', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, { cooldown: 30 });
    const valid = await longLived(issuer);
    await verifier.verify(valid);
    const flood = async (kids: number): Promise<Set<unknown>> => {
      const stranger = await makeSigningKey();
      const one = await issuer.issue({ exp: issuer.now + DAYS }, { key: stranger });
      const [, payload, signature] = one.split('.');
      const forged = Array.from({ length: kids }, (_, i) => {
        const header = Buffer.from(JSON.stringify({ alg: 'ES256', kid: `k${i}` })).toString('base64url');
        return `${header}.${payload ?? ''}.${signature ?? ''}`;
      });
      const outcomes = await Promise.allSettled(forged.map((token) => verifyAsync(verifier, token)));
      for (const each of outcomes) expect(each).toMatchObject({ status: 'rejected' });
      const reasons = outcomes.map((each) => each.status === 'rejected' && (each.reason as { reason: string }).reason);
      return new Set(reasons);
    };
    await expect(flood(10_000)).resolves.toEqual(new Set(['unknown_key']));
    expect(issuer.requests.jwks).toBe(2);
    for (let i = 0; i < 3; i++) await flood(100);
    expect(issuer.requests.jwks).toBe(5);
    await expect(flood(100)).resolves.toEqual(new Set(['keys_unavailable']));
    expect(issuer.requests.jwks).toBe(5);
    await advance({ seconds: 31 });
    await flood(100);
    await flood(100);
    expect(issuer.requests.jwks).toBe(6);
    await expect(verifier.verify(await longLived(issuer))).resolves.toBeDefined();
    expect(cachedResult(verifier, valid)).toBeDefined();
  });

  it('delays a real rotation by at most the cooldown', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, { cooldown: 30 });
    await verifier.ready();
    await expect(verifier.verify(await issuer.issue({}, { key: await makeSigningKey() }))).rejects.toMatchObject({
      reason: 'unknown_key',
    });
    await issuer.rotate();
    await advance({ seconds: 30 });
    await expect(verifier.verify(await issuer.issue())).resolves.toBeDefined();
  });

  it('with untrusted issuers, audiences or algorithms causes no request', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    for (const claims of [{ iss: 'https://evil.example.com' }, { aud: 'other' }, { exp: 1 }]) {
      await expect(verifier.verify(await issuer.issue(claims))).rejects.toMatchObject({ status: 401 });
    }
    expect(issuer.requests).toMatchObject({ metadata: 0, jwks: 0 });
  });
});

describe('unsafe keys', () => {
  it.each([
    ['with a private part', (jwk: object) => ({ ...jwk, d: 'AA' })],
    ['symmetric', (jwk: object) => ({ ...jwk, kty: 'oct', k: 'AAAA' })],
    ['for encryption', (jwk: object) => ({ ...jwk, use: 'enc' })],
    ['for another operation', (jwk: object) => ({ ...jwk, use: undefined, key_ops: ['encrypt'] })],
    ['for another algorithm', (jwk: object) => ({ ...jwk, alg: 'ES384' })],
    [
      'with a point that is not on the curve',
      (jwk: object) => ({ ...jwk, x: Buffer.alloc(32, 1).toString('base64url') }),
    ],
    ['of another type', (jwk: object) => ({ ...jwk, kty: 'RSA' })],
    ['that are not objects', () => 'key'],
    ['that are null', () => null],
  ])('are not used, while valid keys of the same set are: %s', async (_, change) => {
    const issuer = await startIssuer();
    const good = await makeSigningKey();
    issuer.published = [change(issuer.key.publicJwk), good.publicJwk];
    const verifier = verifierFor(issuer);
    await expect(verifier.verify(await issuer.issue())).rejects.toMatchObject({ reason: 'unknown_key' });
    await expect(verifier.verify(await issuer.issue({}, { key: good }))).resolves.toBeDefined();
  });

  it.each([
    ['a modulus of 1024 bits', (jwk: { n?: string }) => ({ ...jwk, n: jwk.n?.slice(0, 171) })],
    ['the exponent 1', (jwk: object) => ({ ...jwk, e: 'AQ' })],
    ['an even exponent', (jwk: object) => ({ ...jwk, e: 'AQAA' })],
    ['no exponent', (jwk: object) => ({ ...jwk, e: undefined })],
    ['a modulus of more than 8,192 bits', (jwk: { n?: string }) => ({ ...jwk, n: (jwk.n ?? '').repeat(5) })],
    ['an exponent of more than 32 bits', (jwk: object) => ({ ...jwk, e: 'AQAAAAE' })],
    ['a modulus of zeros', (jwk: object) => ({ ...jwk, n: Buffer.alloc(256).toString('base64url') })],
  ])('are not used: RSA with %s', async (_, change) => {
    const issuer = await startIssuer({ algorithm: 'RS256' });
    const token = await issuer.issue();
    await expect(verifierFor(issuer).verify(token)).resolves.toBeDefined();
    const good = await makeSigningKey();
    issuer.published = [change(issuer.key.publicJwk), good.publicJwk];
    await expect(verifierFor(issuer).verify(token)).rejects.toMatchObject({ reason: 'unknown_key' });
  });

  it.each(SMALL_ORDER)(
    'of a small order on Ed25519 are ignored, because everybody can sign for them: %s',
    async (x) => {
      const issuer = await startIssuer();
      const jwk = { kty: 'OKP', crv: 'Ed25519', x, kid: 'small' };
      issuer.published = [jwk, issuer.key.publicJwk];
      // The neutral element of the curve as R, and 0 as S.
      const signature = Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]);
      const key = createPublicKey({ key: jwk, format: 'jwk' });
      const forged: string[] = [];
      for (let i = 0; i < 200; i++) {
        const claims = { iss: issuer.url, aud: issuer.audience, exp: issuer.now + 60, i };
        const input = [{ alg: 'EdDSA', kid: 'small' }, claims].map((part) => base64url(JSON.stringify(part))).join('.');
        if (verify(null, Buffer.from(input), key, signature)) forged.push(`${input}.${base64url(signature)}`);
      }
      expect(forged.length).toBeGreaterThan(0);
      const app = serveFor(issuer);
      await expectRefused(app, forged[0], 401, 'invalid_token');
      expect((await get(app, await issuer.issue())).status).toBe(200);
    },
  );

  it('make a set of more than 1,000 keys unusable', async () => {
    const issuer = await startIssuer();
    issuer.published = Array.from({ length: 1_001 }, () => issuer.key.publicJwk);
    await expect(verifierFor(issuer).verify(await issuer.issue())).rejects.toMatchObject({ status: 503 });
  });

  it('that have the same key id are all tried', async () => {
    const issuer = await startIssuer();
    const stranger = await makeSigningKey();
    issuer.published = [{ ...stranger.publicJwk, kid: issuer.key.kid }, issuer.key.publicJwk];
    await expect(verifierFor(issuer).verify(await issuer.issue())).resolves.toBeDefined();
  });
});

describe('a verifier', () => {
  it('reports the age and freshness of its keys', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, { refreshInterval: 1_000 });
    expect(verifier.health()).toEqual({
      isReady: false,
      keys: { age: undefined, state: 'unavailable', failures: 0 },
      metadata: { age: undefined, state: 'unavailable', failures: 0 },
    });
    await verifier.ready();
    await advance({ seconds: 10 });
    const usableUntil = Date.now() / 1000 - 10 + 1_000 + 86_400;
    expect(verifier.health()).toEqual({
      isReady: true,
      keys: { age: 10, state: 'fresh', failures: 0, usableUntil: expect.closeTo(usableUntil) },
      metadata: { age: 10, state: 'fresh', failures: 0, usableUntil: expect.closeTo(usableUntil) },
    });
  });

  it('sends no more requests after close', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, { refreshInterval: 60 });
    await verifier.ready();
    await verifier.close();
    await advance({ seconds: 600 });
    expect(issuer.requests).toMatchObject({ metadata: 1, jwks: 1 });
    const never = verifierFor(issuer);
    await never.close();
    await expect(never.verify(await issuer.issue())).rejects.toMatchObject({ status: 503 });
    expect(issuer.requests).toMatchObject({ metadata: 1, jwks: 1 });
  });
});
