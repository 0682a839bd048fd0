import { generateKeyPairSync, sign } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { AsymmetricAlgorithm, SymmetricAlgorithm } from '../../lib/index.js';
import { makeSigningKey, type SigningKey } from '../../lib/testing/issuer.js';
import { base64url, expectInvalidToken, get, serveFor, signWithSecret, startIssuer } from '../support/helpers.js';

const ALGORITHMS: readonly AsymmetricAlgorithm[] = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const),
];

const signingKeys = new Map<string, SigningKey>();

beforeAll(async () => {
  for (const key of await Promise.all(ALGORITHMS.map((algorithm) => makeSigningKey(algorithm)))) {
    signingKeys.set(key.algorithm, key);
  }
}, 60_000);

function keyFor(algorithm: string): SigningKey {
  const key = signingKeys.get(algorithm);
  if (key === undefined) throw new Error(`no key for ${algorithm}`);
  return key;
}

async function acceptsWith(app: ReturnType<typeof serveFor>, token: string): Promise<void> {
  expect((await get(app, token)).status).toBe(200);
}

describe('signature algorithms', () => {
  it.each(ALGORITHMS)('include %s', async (algorithm) => {
    const issuer = await startIssuer();
    const key = keyFor(algorithm);
    const api = serveFor(issuer, { jwks: { keys: [key.publicJwk] } });
    await acceptsWith(api, await issuer.issue({}, { key }));
    const forged = (await issuer.issue({ scope: 'admin' }, { key })).split('.').slice(0, 2);
    const signature = (await issuer.issue({}, { key })).split('.').slice(2);
    await expectInvalidToken(api, [...forged, ...signature].join('.'), 'signature_mismatch');
  });

  it.each(ALGORITHMS)('include only the configured ones: %s is rejected if it is not configured', async (algorithm) => {
    const issuer = await startIssuer();
    const key = keyFor(algorithm);
    const algorithms = ALGORITHMS.filter((each) => each !== algorithm);
    const api = serveFor(issuer, {
      jwks: { keys: [...signingKeys.values()].map((each) => each.publicJwk) },
      algorithms,
    });
    await expectInvalidToken(api, await issuer.issue({}, { key }), 'algorithm_refused');
    const other = keyFor(algorithms[0] ?? '');
    await acceptsWith(api, await issuer.issue({}, { key: other }));
  });

  it('require a key of their own type, whatever key id the token names', async () => {
    const issuer = await startIssuer();
    const api = serveFor(issuer, { jwks: { keys: [keyFor('RS256').publicJwk] } });
    const crossed = await issuer.issue({}, { header: { kid: keyFor('RS256').kid } });
    await expectInvalidToken(api, crossed, 'unknown_key');
    await acceptsWith(api, await issuer.issue({}, { key: keyFor('RS256') }));
  });

  it('do not include HS256 with the public key as its secret', async () => {
    const issuer = await startIssuer();
    const api = serveFor(issuer);
    const claims = { iss: issuer.url, aud: issuer.audience, exp: issuer.now + 300 };
    const forged = signWithSecret(256, claims, JSON.stringify(issuer.key.publicJwk), { kid: issuer.key.kid });
    await expectInvalidToken(api, forged, 'algorithm_refused');
    expect(issuer.requests).toMatchObject({ metadata: 0, jwks: 0 });
    await acceptsWith(api, await issuer.issue());
  });
});

describe('a shared secret', () => {
  const SECRETS: readonly [SymmetricAlgorithm, number, number][] = [
    ['HS256', 256, 32],
    ['HS384', 384, 48],
    ['HS512', 512, 64],
  ];

  it.each(SECRETS)('verifies a token of %s if it has as many bytes as the hash', async (_algorithm, bits, bytes) => {
    const issuer = await startIssuer();
    const secret = 's'.repeat(bytes);
    const api = serveFor(issuer, { secret });
    const claims = { iss: issuer.url, aud: issuer.audience, exp: issuer.now + 300 };
    await acceptsWith(api, signWithSecret(bits, claims, secret));
    await expectInvalidToken(api, signWithSecret(bits, claims, `${secret}x`), 'signature_mismatch');
    expect(issuer.requests).toMatchObject({ metadata: 0, jwks: 0 });
  });

  it('may be bytes, which are copied', async () => {
    const issuer = await startIssuer();
    const secret = Buffer.alloc(32, 7);
    const api = serveFor(issuer, { secret });
    const claims = { iss: issuer.url, aud: issuer.audience, exp: issuer.now + 300 };
    const token = signWithSecret(256, claims, Buffer.alloc(32, 7));
    secret.fill(0);
    await acceptsWith(api, token);
    await expectInvalidToken(api, signWithSecret(256, claims, Buffer.alloc(32)), 'signature_mismatch');
  });

  it('rejects algorithms with a hash that is longer than the secret', async () => {
    const issuer = await startIssuer();
    const secret = 's'.repeat(47);
    const claims = { iss: issuer.url, aud: issuer.audience, exp: issuer.now + 300 };
    const api = serveFor(issuer, { secret });
    await expectInvalidToken(api, signWithSecret(384, claims, secret), 'algorithm_refused');
    await acceptsWith(api, signWithSecret(256, claims, secret));
  });

  it('rejects asymmetric algorithms', async () => {
    const issuer = await startIssuer();
    const api = serveFor(issuer, { secret: 's'.repeat(64) });
    await expectInvalidToken(api, await issuer.issue(), 'algorithm_refused');
  });
});

describe('the keys of a JWKS', () => {
  it('are all tried, up to 50, for a token without a key id', async () => {
    const issuer = await startIssuer();
    const others = await Promise.all(Array.from({ length: 50 }, () => makeSigningKey()));
    const token = await issuer.issue({}, { header: { kid: undefined } });
    const keys = [...others.map((key) => key.publicJwk), issuer.key.publicJwk];
    await acceptsWith(serveFor(issuer, { jwks: { keys: keys.slice(1) } }), token);
    await expectInvalidToken(serveFor(issuer, { jwks: { keys } }), token, 'signature_mismatch');
  });

  it('may have no key ids', async () => {
    const issuer = await startIssuer();
    const bare = [issuer.key, await makeSigningKey()].map(({ publicJwk }) => ({ ...publicJwk, kid: undefined }));
    issuer.published = bare;
    await acceptsWith(serveFor(issuer), await issuer.issue({}, { header: { kid: undefined } }));
  });

  it('do not verify a token with an unknown key id', async () => {
    const issuer = await startIssuer();
    const api = serveFor(issuer);
    await expectInvalidToken(api, await issuer.issue({}, { key: await makeSigningKey() }), 'unknown_key');
    await acceptsWith(api, await issuer.issue());
  });

  it('do not verify a token that another key signed under their id', async () => {
    const issuer = await startIssuer();
    const impostor = { ...(await makeSigningKey()), kid: issuer.key.kid };
    await expectInvalidToken(serveFor(issuer), await issuer.issue({}, { key: impostor }), 'signature_mismatch');
  });

  const coordinate = 'A'.repeat(43);
  it.each<[string, unknown]>([
    ['null', null],
    ['a string', 'key'],
    ['an array', []],
    ['an empty object', {}],
    ['an EC key without a curve', { kty: 'EC' }],
    ['an unknown curve', { kty: 'EC', crv: 'P-999', x: coordinate, y: coordinate }],
    ['a point off the curve', { kty: 'EC', crv: 'P-256', x: coordinate, y: coordinate }],
    ['coordinates that are numbers', { kty: 'EC', crv: 'P-256', x: 1, y: 2 }],
    ['an unknown type', { kty: 'XYZ' }],
    ['a type that is an array', { kty: ['EC'] }],
    ['members of wrong types', { kty: 'EC', crv: 'P-256', x: {}, y: [], kid: 5, alg: {}, use: [], key_ops: 'verify' }],
    ['a short Ed25519 key', { kty: 'OKP', crv: 'Ed25519', x: 'AA' }],
    ['an RSA key without modulus', { kty: 'RSA', e: 'AQAB' }],
    ['a symmetric key', { kty: 'oct', k: coordinate }],
  ])('are still used if one of them is %s', async (_what, bad) => {
    const issuer = await startIssuer();
    issuer.published = [bad, issuer.key.publicJwk, bad];
    const api = serveFor(issuer);
    await acceptsWith(api, await issuer.issue());
    await acceptsWith(api, await issuer.issue({}, { header: { kid: undefined } }));
    await expectInvalidToken(api, await issuer.issue({}, { key: await makeSigningKey() }), 'unknown_key');
  });

  it.each<[string, Record<string, unknown>]>([
    ['is private', { d: 'A'.repeat(43) }],
    ['is for encryption', { use: 'enc' }],
    ['is for another operation', { key_ops: ['sign'] }],
    ['is for another algorithm', { alg: 'ES384' }],
  ])('are ignored if a key %s', async (_what, members) => {
    const issuer = await startIssuer();
    const token = await issuer.issue();
    await acceptsWith(serveFor(issuer), token);
    issuer.published = [{ ...issuer.key.publicJwk, ...members }, (await makeSigningKey()).publicJwk];
    await expectInvalidToken(serveFor(issuer), token, 'unknown_key');
  });

  it.each([
    ['EdDSA', 'Ed25519'],
    ['Ed25519', 'EdDSA'],
  ])('match both names of one algorithm: %s in the JWK, %s in the token', async (inJwk, inToken) => {
    const issuer = await startIssuer();
    const key = keyFor(inToken);
    issuer.published = [{ ...key.publicJwk, alg: inJwk }];
    await acceptsWith(serveFor(issuer), await issuer.issue({}, { key }));
    await expectInvalidToken(
      serveFor(issuer, { algorithms: ['ES256'] }),
      await issuer.issue({}, { key }),
      'algorithm_refused',
    );
    issuer.published = [inJwk, inToken].map((alg) => ({ ...key.publicJwk, alg }));
    await acceptsWith(serveFor(issuer), await issuer.issue({}, { key }));
    issuer.published = [{ ...key.publicJwk, alg: inJwk, use: 'enc' }, issuer.key.publicJwk];
    await expectInvalidToken(serveFor(issuer), await issuer.issue({}, { key }), 'unknown_key');
  });

  it('are ignored if an RSA key is shorter than 2048 bits', async () => {
    const issuer = await startIssuer();
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    issuer.published = [{ ...publicKey.export({ format: 'jwk' }), kid: 'short' }, issuer.key.publicJwk];
    const claims = { iss: issuer.url, aud: issuer.audience, exp: issuer.now + 300 };
    const input = ['{"alg":"RS256","kid":"short"}', JSON.stringify(claims)].map(base64url).join('.');
    const signature = base64url(sign('sha256', Buffer.from(input), privateKey));
    await expectInvalidToken(serveFor(issuer), `${input}.${signature}`, 'unknown_key');
  });

  it('are looked up safely by ids such as __proto__', async () => {
    const issuer = await startIssuer();
    const api = serveFor(issuer, { jwks: { keys: [issuer.key.publicJwk] } });
    for (const kid of ['__proto__', 'constructor', 'toString', '', '../../etc/passwd', 'http://evil.example.com/']) {
      await expectInvalidToken(api, await issuer.issue({}, { header: { kid } }), 'unknown_key');
    }
    await acceptsWith(api, await issuer.issue());
  });
});
