import { webcrypto } from 'node:crypto';
import { describe, expect, it, jest } from '@jest/globals';
import { jwtVerifier, type JwtVerifierOptions, type KeyOptions } from '../../lib/index.js';
import { Jwks } from '../../lib/issuer/jwks.js';
import { makeSigningKey, type TestIssuer } from '../../lib/testing/issuer.js';
import { expectRefused, get, serveFor, startIssuer } from '../support/helpers.js';
import { advance, eventually, simulateTime, watchedFetch } from '../support/time.js';

simulateTime();

function verifierFor(issuer: TestIssuer, keys: KeyOptions = {}): ReturnType<typeof jwtVerifier> {
  return jwtVerifier({ issuer: issuer.url, audience: issuer.audience, keys, fetch: watchedFetch });
}

function withoutKid(jwk: object): object {
  return { ...jwk, kid: undefined };
}

function offCurve(jwk: object, kid?: string): object {
  return { ...jwk, x: Buffer.alloc(32, 1).toString('base64url'), kid };
}

const UNUSABLE: [string, (jwk: object) => unknown[]][] = [
  ['no keys', () => []],
  ['only keys for encryption', (jwk) => [{ ...jwk, use: 'enc', alg: undefined }]],
  ['only symmetric keys', () => [{ kty: 'oct', k: 'AAAA' }]],
  ['only keys with a point that is not on the curve', (jwk) => [offCurve(jwk), offCurve(jwk, 'a')]],
  ['only keys for another purpose', (jwk) => [{ ...jwk, alg: 'ECDH-ES' }]],
  ['only values that are not keys', () => [null, 1, 'key', []]],
];

describe('a JWKS without a usable key', () => {
  it.each(UNUSABLE)('causes 503 at the first fetch: %s', async (_, keysOf) => {
    const issuer = await startIssuer();
    issuer.published = keysOf(issuer.key.publicJwk);
    const app = serveFor(issuer);
    await expectRefused(app, await issuer.issue(), 503, 'temporarily_unavailable');
  });

  it.each(UNUSABLE)('does not replace valid keys before maxStale ends: %s', async (_, keysOf) => {
    const issuer = await startIssuer();
    const app = serveFor(issuer, { keys: { refreshInterval: 60, maxStale: 600 }, fetch: watchedFetch });
    const token = await issuer.issue({ exp: issuer.now + 86_400 });
    expect((await get(app, token)).status).toBe(200);
    issuer.published = keysOf(issuer.key.publicJwk);
    await advance({ seconds: 120 });
    expect((await get(app, token)).status).toBe(200);
    await advance({ seconds: 600 });
    await expectRefused(app, token, 503, 'temporarily_unavailable');
  });

  it('does not replace valid keys when an unknown key id causes the fetch', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    const token = await issuer.issue();
    await verifier.verify(token);
    issuer.published = [];
    const forged = await issuer.issue({}, { key: await makeSigningKey() });
    await expect(verifier.verify(forged)).rejects.toMatchObject({ status: 503 });
    await expect(verifier.verify(await issuer.issue())).resolves.toBeDefined();
  });
});

describe('a key without an id', () => {
  it('verifies a token with a key id that no other key has', async () => {
    const issuer = await startIssuer();
    const other = await makeSigningKey();
    issuer.published = [other.publicJwk, withoutKid(issuer.key.publicJwk)];
    await expect(verifierFor(issuer).verify(await issuer.issue())).resolves.toBeDefined();
  });

  it.each([
    ['a usable key', (kid: string, other: object) => ({ ...other, kid })],
    ['a key that cannot be used', (kid: string) => ({ kty: 'oct', k: 'AAAA', kid })],
  ])('does not verify a token with the key id of %s', async (_, make) => {
    const issuer = await startIssuer();
    const other = await makeSigningKey();
    issuer.published = [make(issuer.key.kid, other.publicJwk), withoutKid(issuer.key.publicJwk)];
    await expect(verifierFor(issuer).verify(await issuer.issue())).rejects.toMatchObject({ status: 401 });
  });
});

describe('a token without a key id', () => {
  it('is verified with at most 50 keys of its algorithm', async () => {
    const issuer = await startIssuer();
    const others = await Promise.all(Array.from({ length: 50 }, () => makeSigningKey()));
    const rsa = await makeSigningKey('RS256');
    const own = issuer.key.publicJwk;
    const token = await issuer.issue({}, { header: { kid: undefined } });
    issuer.published = [rsa.publicJwk, ...others.slice(0, 49).map(({ publicJwk }) => publicJwk), own];
    await expect(verifierFor(issuer).verify(token)).resolves.toBeDefined();
    issuer.published = [...others.map(({ publicJwk }) => publicJwk), own];
    await expect(verifierFor(issuer).verify(token)).rejects.toMatchObject({ reason: 'signature_mismatch' });
  });

  it('is verified with at most 10 keys of a large curve', async () => {
    const issuer = await startIssuer();
    const [own, ...others] = await Promise.all(Array.from({ length: 11 }, () => makeSigningKey('ES384')));
    const token = await issuer.issue({}, { key: own, header: { kid: undefined } });
    const jwks = others.map(({ publicJwk }) => publicJwk);
    issuer.published = [...jwks.slice(0, 9), own?.publicJwk ?? {}];
    await expect(verifierFor(issuer).verify(token)).resolves.toBeDefined();
    issuer.published = [...jwks, own?.publicJwk ?? {}];
    await expect(verifierFor(issuer).verify(token)).rejects.toMatchObject({ reason: 'signature_mismatch' });
  });

  it('is not verified with a key whose key id is not a string', async () => {
    const issuer = await startIssuer();
    issuer.published = [{ ...issuer.key.publicJwk, kid: 7 }];
    const verifier = verifierFor(issuer);
    await expect(verifier.verify(await issuer.issue({}, { header: { kid: undefined } }))).resolves.toBeDefined();
    await expect(verifier.verify(await issuer.issue({}, { header: { kid: '7' } }))).rejects.toMatchObject({
      reason: 'unknown_key',
    });
  });
});

describe('a large JWKS', () => {
  it('of 1,000 keys is accepted', async () => {
    const issuer = await startIssuer();
    const filler = Array.from({ length: 999 }, (_, i) => ({ ...issuer.key.publicJwk, kid: `key-${i}` }));
    issuer.published = [...filler, issuer.key.publicJwk];
    await expect(verifierFor(issuer).verify(await issuer.issue())).resolves.toBeDefined();
  });

  it('keeps only the members that a key needs', async () => {
    const { publicJwk } = await makeSigningKey();
    const jwks = Jwks.of({ keys: [{ ...publicJwk, x5c: ['A'.repeat(10_000)], 'x5t#S256': 'a', other: { deep: [] } }] });
    expect(jwks?.keys).toEqual([publicJwk]);
  });

  it.each([
    ['alg', 1],
    ['use', ['sig']],
    ['key_ops', 'verify'],
    ['key_ops', Array.from({ length: 21 }, () => 'verify')],
    ['x', 'A'.repeat(5_000)],
  ])('leaves out a key with a wrong %s', async (name, value) => {
    const { publicJwk } = await makeSigningKey();
    expect(Jwks.of({ keys: [{ ...publicJwk, [name]: value }] })?.keys).toEqual([]);
  });

  it.each<[string, Record<string, unknown>]>([
    ['of its use', { use: null, key_ops: null, alg: null }],
    ['of a private key', { d: null, p: null, q: null, dp: null, dq: null, qi: null, oth: null }],
    ['of a symmetric key', { k: null }],
    ['of another type of key', { n: null, e: null }],
  ])('may have null members %s, which count as absent', async (_what, members) => {
    const issuer = await startIssuer();
    issuer.published = [{ ...issuer.key.publicJwk, ...members }];
    await expect(verifierFor(issuer).verify(await issuer.issue())).resolves.toBeDefined();
    const options = { issuer: issuer.url, audience: issuer.audience, jwks: { keys: issuer.published } };
    const verifier = jwtVerifier(options as unknown as JwtVerifierOptions);
    await expect(verifier.verify(await issuer.issue())).resolves.toBeDefined();
  });
});

describe('the operations of a key', () => {
  it.each([
    { algorithm: 'ES256', operations: ['sign', 'verify'] },
    { algorithm: 'RS256', operations: ['sign', 'verify', 'encrypt', 'decrypt', 'wrapKey', 'unwrapKey'] },
    { algorithm: 'EdDSA', operations: ['verify', 'unknown'] },
  ] as const)('may include others than verify: $operations', async ({ algorithm, operations }) => {
    const issuer = await startIssuer({ algorithm });
    issuer.published = [{ ...issuer.key.publicJwk, key_ops: operations }];
    await expect(verifierFor(issuer).verify(await issuer.issue())).resolves.toBeDefined();
  });

  it.each([
    { operations: [], reason: 'its key_ops do not contain "verify"' },
    { operations: ['sign'], reason: 'its key_ops do not contain "verify"' },
    { operations: 'verify', reason: 'its key_ops are not an array of strings' },
    { operations: ['verify', 7], reason: 'its key_ops are not an array of strings' },
    { operations: ['verify', 'verify'], reason: 'its key_ops contain an operation twice' },
  ])('make a key unusable: $operations', async ({ operations, reason }) => {
    const issuer = await startIssuer();
    issuer.published = [{ ...issuer.key.publicJwk, key_ops: operations }];
    const failure = verifierFor(issuer).verify(await issuer.issue());
    await expect(failure).rejects.toMatchObject({ cause: { message: expect.stringContaining(reason) } });
  });
});

describe('keys that cannot be imported', () => {
  it('are imported once, even for many forged tokens', async () => {
    const issuer = await startIssuer();
    const good = await makeSigningKey();
    const bad = Array.from({ length: 40 }, (_, i) => offCurve(issuer.key.publicJwk, `bad-${i}`));
    issuer.published = [...bad, good.publicJwk];
    const verifier = verifierFor(issuer, { refreshInterval: 86_400 });
    const importKey = jest.spyOn(webcrypto.subtle, 'importKey');
    try {
      const forged = await issuer.issue({}, { header: { kid: undefined } });
      await expect(verifier.verify(forged)).rejects.toMatchObject({ reason: 'signature_mismatch' });
      const before = importKey.mock.calls.length;
      for (let i = 0; i < 5; i++) {
        await expect(verifier.verify(await issuer.issue({}, { header: { kid: undefined } }))).rejects.toBeDefined();
        await expect(verifier.verify(await issuer.issue({}, { header: { kid: `bad-${i}` } }))).rejects.toBeDefined();
      }
      expect(importKey.mock.calls.length).toBe(before);
    } finally {
      importKey.mockRestore();
    }
    await eventually('the fetch', () => issuer.requests.jwks > 0);
  });
});
