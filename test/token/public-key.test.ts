import { createPublicKey, createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { exportJWK, exportSPKI, SignJWT } from 'jose';
import { ConfigurationError, InvalidTokenError, jwtVerifier, type JwtVerifierOptions } from '../../lib/index.js';
import { makeCertificate } from '../support/certificates.js';

const ISSUER = 'http://tenant.localhost.example:8080/uaa/oauth/token';

type PublicKey = NonNullable<JwtVerifierOptions['publicKey']>;

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const pemOf = (key: KeyObject, type: 'spki' | 'pkcs1' = 'spki'): string =>
  key.export({ type, format: 'pem' }).toString();
const oneLine = (pem: string): string => pem.replaceAll('\n', '');

function sign(key: KeyObject, alg: string, kid?: string): Promise<string> {
  return new SignJWT({ client_id: 'c', sub: 'c' })
    .setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) })
    .setIssuer(ISSUER)
    .setAudience('api')
    .setExpirationTime('5 minutes')
    .sign(key);
}

const noFetch = (): never => {
  throw new Error('nothing may be fetched');
};

function verify(publicKey: unknown, token: string, options: Partial<JwtVerifierOptions> = {}): unknown {
  const all = { issuer: ISSUER, audience: 'api', publicKey: publicKey as PublicKey, fetch: noFetch, ...options };
  return jwtVerifier(all).verify(token);
}

const jwkOf = (key: KeyObject): Record<string, unknown> => key.export({ format: 'jwk' });

describe('publicKey', () => {
  const pem = pemOf(rsa.publicKey);

  it.each<[string, unknown]>([
    ['PEM', pem],
    ['PKCS #1', pemOf(rsa.publicKey, 'pkcs1')],
    ['PEM with spaces around it', `\n  ${pem}  \n`],
    ['PEM with Windows line breaks', pem.replaceAll('\n', '\r\n')],
    ['PEM without line breaks', oneLine(pem)],
    ['PEM with spaces instead of line breaks', pem.replaceAll('\n', ' ')],
    ['PEM with line breaks that are written as \\n', pem.replaceAll('\n', '\\n')],
    ['a KeyObject', rsa.publicKey],
    ['a JWK', jwkOf(rsa.publicKey)],
    ['a JWK with a key id that tokens do not have', { ...jwkOf(rsa.publicKey), kid: 'other', use: 'sig' }],
    ['a JWK with null members', { ...jwkOf(rsa.publicKey), d: null, k: null, use: null, key_ops: null, x5c: null }],
    ['a JWK that names more operations', { ...jwkOf(rsa.publicKey), key_ops: ['sign', 'verify'] }],
    ['several keys', [pemOf(other.publicKey), ec.publicKey, jwkOf(rsa.publicKey)]],
    ['several PEM texts in one', pemOf(other.publicKey) + pem],
  ])('can be %s', async (_what, publicKey) => {
    for (const kid of [undefined, 'key-id-1']) {
      const token = await sign(rsa.privateKey, 'RS256', kid);
      await expect(verify(publicKey, token)).resolves.toMatchObject({ clientId: 'c', issuer: ISSUER });
    }
    await expect(verify(publicKey, await sign(rsa.privateKey, 'PS512'))).resolves.toBeDefined();
  });

  it('can be a certificate', async () => {
    const { key, cert } = makeCertificate('as', { keyType: 'rsa' });
    const { createPrivateKey } = await import('node:crypto');
    await expect(verify(cert, await sign(createPrivateKey(key), 'RS256'))).resolves.toBeDefined();
  });

  it.each<[string, { publicKey: KeyObject; privateKey: KeyObject }, string]>([
    ['EC', ec, 'ES256'],
    ['Ed25519', ed, 'EdDSA'],
    ['Ed25519 with the algorithm name Ed25519', ed, 'Ed25519'],
  ])('can be of the type %s', async (_what, { publicKey, privateKey }, alg) => {
    const token = await sign(privateKey, alg, 'k');
    await expect(verify(pemOf(publicKey), token)).resolves.toBeDefined();
    await expect(verify(jwkOf(publicKey), token)).resolves.toBeDefined();
  });

  it('rejects tokens that another key signed', async () => {
    for (const kid of [undefined, 'k']) {
      const token = await sign(other.privateKey, 'RS256', kid);
      await expect(verify(pem, token)).rejects.toThrow(InvalidTokenError);
    }
    await expect(verify(pem, await sign(ec.privateKey, 'ES256'))).rejects.toMatchObject({ reason: 'unknown_key' });
  });

  it('is never the secret of a MAC', async () => {
    for (const secret of [pem, oneLine(pem), pem.trim()]) {
      const token = await sign(createSecretKey(Buffer.from(secret)), 'HS256');
      await expect(verify(pem, token)).rejects.toMatchObject({ reason: 'algorithm_refused' });
    }
  });

  it('uses a JWK only for the operations that it allows', async () => {
    const token = await sign(rsa.privateKey, 'RS256');
    await expect(verify({ ...jwkOf(rsa.publicKey), alg: 'PS256' }, token)).rejects.toThrow(InvalidTokenError);
    await expect(verify({ ...jwkOf(rsa.publicKey), use: 'enc' }, token)).rejects.toThrow(InvalidTokenError);
  });

  it('requires no URL of the issuer, and fetches nothing', async () => {
    const verifier = jwtVerifier({ issuer: 'supabase', audience: 'api', publicKey: pem, fetch: noFetch });
    await expect(verifier.ready()).resolves.toBeUndefined();
    expect(verifier.health().keys.state).toBe('fresh');
  });

  describe('causes a ConfigurationError for', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const curve = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
    const x25519 = generateKeyPairSync('x25519');
    let spki = '';

    beforeAll(async () => {
      spki = await exportSPKI(rsa.publicKey);
      expect(createPublicKey(spki).type).toBe('public');
      expect(await exportJWK(rsa.publicKey)).toBeDefined();
    });

    it.each<[string, unknown]>([
      ['a private key in PEM', rsa.privateKey.export({ type: 'pkcs8', format: 'pem' })],
      ['a private RSA key in PEM', rsa.privateKey.export({ type: 'pkcs1', format: 'pem' })],
      ['a private key and a public one', pem + rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
      ['a private KeyObject', rsa.privateKey],
      ['a private JWK', jwkOf(rsa.privateKey)],
      ['a secret KeyObject', createSecretKey(Buffer.alloc(32))],
      ['a symmetric JWK', { kty: 'oct', k: 'AAAA' }],
      ['a short RSA key', weak.publicKey],
      ['a short RSA key in PEM', pemOf(weak.publicKey)],
      ['a curve that no algorithm uses', curve.publicKey],
      ['a key for encryption', x25519.publicKey],
      ['text that is not PEM', 'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A'],
      ['incomplete PEM', pem.slice(0, 200)],
      ['PEM with other content', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----'],
      ['a JWK without a modulus', { kty: 'RSA' }],
      [
        'a point that is not on the curve',
        { ...jwkOf(ec.publicKey), x: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' },
      ],
      ['a JWKS', { keys: [jwkOf(rsa.publicKey)] }],
      ['an empty array', []],
      ['one invalid key among valid ones', [pem, weak.publicKey]],
      ['an empty string', ''],
      ['a number', 7],
      ['null', null],
      ['false', false],
    ])('%s', (_what, publicKey) => {
      const create = (): unknown => jwtVerifier({ issuer: ISSUER, audience: 'api', publicKey: publicKey as PublicKey });
      expect(create).toThrow(ConfigurationError);
      expect(create).toThrow(/^jwtVerifier: publicKey: /);
      // The message contains no byte of a key.
      expect(create).not.toThrow(/MII|AAAA/);
    });

    it('two sources of keys', () => {
      const options = { issuer: 'https://as.example.test', audience: 'api', publicKey: pem };
      expect(() => jwtVerifier({ ...options, jwksUri: 'https://as.example.test/jwks' })).toThrow(/jwksUri, publicKey/);
      expect(() => jwtVerifier({ ...options, secret: 'x'.repeat(32) })).toThrow(/publicKey, secret/);
    });
  });
});
