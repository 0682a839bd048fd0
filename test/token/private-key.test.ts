import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { generateKeyPair, jwtVerify } from 'jose';
import { ConfigurationError, introspectionVerifier, type PrivateKey } from '../../lib/index.js';
import { readSigningKey, signJwt } from '../../lib/token/private-key.js';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const smallRsa = generateKeyPairSync('rsa', { modulusLength: 1024 });
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' });
const k256 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
const ed25519 = generateKeyPairSync('ed25519');
const x25519 = generateKeyPairSync('x25519');

const pem = (key: KeyObject, type: 'pkcs8' | 'pkcs1' | 'sec1'): string => String(key.export({ format: 'pem', type }));
const jwk = (key: KeyObject): object => key.export({ format: 'jwk' });
const encrypted = rsa.privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'hush' });

const PAIRS = [
  ['RS256', rsa],
  ['RS384', rsa],
  ['RS512', rsa],
  ['PS256', rsa],
  ['PS384', rsa],
  ['PS512', rsa],
  ['ES256', p256],
  ['ES384', p384],
  ['ES512', p521],
  ['EdDSA', ed25519],
  ['Ed25519', ed25519],
] as const;

function configure(privateKey: unknown, algorithm: string, more: object = {}): void {
  introspectionVerifier({
    issuer: 'https://auth.example.com',
    audience: false,
    clientId: 'api',
    clientAuthentication: { privateKey: privateKey as PrivateKey, algorithm, ...more },
  });
}

function mistake(privateKey: unknown, algorithm: string, more: object = {}): ConfigurationError {
  try {
    configure(privateKey, algorithm, more);
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('the key was accepted');
}

describe('a private key signs', () => {
  it.each(PAIRS)('with %s, in every supported format', async (algorithm, { privateKey, publicKey }) => {
    const { asymmetricKeyType: type } = privateKey;
    const forms: unknown[] = [privateKey, pem(privateKey, 'pkcs8'), jwk(privateKey)];
    if (type === 'rsa') forms.push(pem(privateKey, 'pkcs1'));
    if (type === 'ec') forms.push(pem(privateKey, 'sec1'));
    for (const form of forms) {
      const key = readSigningKey({ privateKey: form, algorithm, keyId: 'k1' });
      const jwt = key && (await signJwt({ sub: 'api' }, key));
      const { protectedHeader } = await jwtVerify(jwt ?? '', publicKey);
      expect(protectedHeader).toEqual({ alg: algorithm, kid: 'k1' });
    }
  });

  it.each(PAIRS.map(([algorithm]) => [algorithm]))('with %s, as a CryptoKey', async (algorithm) => {
    const { privateKey, publicKey } = await generateKeyPair(algorithm);
    const key = readSigningKey({ privateKey, algorithm });
    await expect(jwtVerify((key && (await signJwt({}, key))) ?? '', publicKey)).resolves.toBeDefined();
  });

  it('if its PEM text has no line breaks', () => {
    const text = pem(p256.privateKey, 'sec1');
    for (const each of [text.replaceAll('\n', '\\n'), text.replaceAll('\n', ' '), text.replaceAll('\n', '\r\n')]) {
      expect(readSigningKey({ privateKey: each, algorithm: 'ES256' })).toBeDefined();
    }
  });

  it('if its file also contains the certificate or the parameters of the curve', () => {
    const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n';
    const privateKey = parameters + pem(p256.privateKey, 'sec1');
    expect(readSigningKey({ privateKey, algorithm: 'ES256' })).toBeDefined();
  });

  it('with the key id of its JWK, unless another one is configured', () => {
    const privateKey = { ...jwk(p256.privateKey), kid: 'of-the-jwk' };
    expect(readSigningKey({ privateKey, algorithm: 'ES256' })?.keyId).toBe('of-the-jwk');
    expect(readSigningKey({ privateKey, algorithm: 'ES256', keyId: 'configured' })?.keyId).toBe('configured');
  });
});

describe('a JWK with null members', () => {
  it.each([
    ['EC', p256, 'ES256', { n: null, k: null }],
    ['RSA', rsa, 'PS256', { crv: null, x: null, y: null, oth: null }],
  ] as const)('signs as one without them: %s', async (_what, { privateKey, publicKey }, algorithm, others) => {
    const members = { kid: null, alg: null, use: null, key_ops: null, x5c: null, ...others };
    const key = readSigningKey({ privateKey: { ...jwk(privateKey), ...members }, algorithm });
    const { protectedHeader } = await jwtVerify((key && (await signJwt({}, key))) ?? '', publicKey);
    expect(protectedHeader).toEqual({ alg: algorithm });
  });
});

describe('a private key is a ConfigurationError', () => {
  const all = [rsa, p256, p384, p521, ed25519].map(({ privateKey }) => privateKey);
  const misfits = PAIRS.flatMap(([algorithm, fitting]) =>
    all.filter((key) => key !== fitting.privateKey).map((key) => [algorithm, key] as const),
  );

  it.each(misfits)('if it is a key for another algorithm than %s', (algorithm, key) => {
    for (const form of [key, pem(key, 'pkcs8'), jwk(key)]) {
      expect(mistake(form, algorithm).message).toMatch(/This key is for /);
    }
  });

  it('if it is a CryptoKey for another algorithm', async () => {
    const { privateKey } = await generateKeyPair('RS256');
    expect(mistake(privateKey, 'RS512').message).toContain('This key is for RS256.');
    expect(mistake(privateKey, 'PS256').message).toContain('This key is for RS256.');
    const { privateKey: ec } = await generateKeyPair('ES384');
    expect(mistake(ec, 'ES256').message).toContain('This key is for ES384.');
  });

  it.each([
    ['is public', p256.publicKey],
    ['is a public PEM text', String(p256.publicKey.export({ format: 'pem', type: 'spki' }))],
    ['is a public JWK', jwk(p256.publicKey)],
    ['is encrypted', String(encrypted)],
    ['is not a key', 'hush'],
    ['is one of two in a PEM text', pem(p256.privateKey, 'pkcs8') + pem(p384.privateKey, 'pkcs8')],
    ['is incomplete', pem(p256.privateKey, 'pkcs8').slice(0, 90)],
    ['is symmetric', { kty: 'oct', k: 'aHVzaA' }],
    ['is null', null],
  ])('if it %s', (_, key) => {
    const { message } = mistake(key, 'ES256');
    expect(message).toContain('Pass a private key that is not encrypted');
    expect(message).not.toContain('hush');
  });

  it.each([
    ['is an RSA key of 1,024 bits', smallRsa.privateKey, 'RS256'],
    ['is on a curve without an algorithm', k256.privateKey, 'ES256'],
    ['is for key agreement', x25519.privateKey, 'EdDSA'],
  ])('if it %s', (_, key, algorithm) => {
    expect(mistake(key, algorithm).message).toContain('Pass an RSA key of at least 2,048 bits');
  });

  it.each([
    ['alg', { alg: 'ES384' }],
    ['use', { use: 'enc' }],
    ['key_ops', { key_ops: ['verify'] }],
  ])('if its JWK has another %s', (_, members) => {
    expect(mistake({ ...jwk(p256.privateKey), ...members }, 'ES256').message).toContain('alg, use and key_ops');
  });

  it.each([[''], [5]])('with %p as its key id', (keyId) => {
    expect(mistake(p256.privateKey, 'ES256', { keyId }).message).toContain('keyId');
  });
});
