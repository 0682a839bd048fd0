import { createPrivateKey, KeyObject } from 'node:crypto';
import { types } from 'node:util';
import { type CryptoKey, type JWTPayload, SignJWT } from 'jose';
import { isPlainObject } from '../util/is-plain-object.js';
import { ASYMMETRIC, type AsymmetricAlgorithm } from './algorithms.js';
import { isText } from './claims.js';
import { presentMembers } from './jwk.js';
import type { Jwk, WebCryptoKey } from './jwk-types.js';
import { readPemBlocks } from './pem.js';

/** A private key: PEM text (PKCS #8, PKCS #1 or SEC 1, not encrypted), a `KeyObject` of node:crypto, a JWK, or a `CryptoKey`. */
export type PrivateKey = string | KeyObject | Jwk | WebCryptoKey;

/** A private key and how to sign with it. */
export interface SigningKeyOptions {
  readonly privateKey: PrivateKey;
  /** The signature algorithm, such as `'ES256'`. The key must fit it. */
  readonly algorithm: string;
  /** The `kid` of the signature's header. Default: the `kid` of the JWK, otherwise none. */
  readonly keyId?: string | undefined;
}

/** PKCS #8, PKCS #1, SEC 1. */
const PRIVATE_LABELS = ['PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY'];

/** What the algorithms need: the type of the key and its curve in node:crypto, and the names of both in WebCrypto. */
const KEY_TYPES = [
  { prefix: 'RS', type: 'rsa', webCrypto: 'RSASSA-PKCS1-v1_5' },
  { prefix: 'PS', type: 'rsa', webCrypto: 'RSA-PSS' },
  { prefix: 'ES256', type: 'ec', curve: 'prime256v1', webCrypto: 'ECDSA', webCurve: 'P-256' },
  { prefix: 'ES384', type: 'ec', curve: 'secp384r1', webCrypto: 'ECDSA', webCurve: 'P-384' },
  { prefix: 'ES512', type: 'ec', curve: 'secp521r1', webCrypto: 'ECDSA', webCurve: 'P-521' },
  { prefix: 'Ed', type: 'ed25519', webCrypto: 'Ed25519' },
] as const;

/** RFC 7518 §3.3. */
const MIN_RSA_BITS = 2048;

/**
 * Reads the three members from an object of options. The result contains an imported key. `undefined` if one is missing or
 * does not fit the others.
 */
export function readSigningKey({
  privateKey,
  algorithm,
  keyId,
}: Record<string, unknown>): SigningKeyOptions | undefined {
  const known = ASYMMETRIC.find((each) => each === algorithm);
  const key = toPrivateKey(privateKey);
  if (known === undefined || key === undefined || !fits(key, known)) return undefined;
  const jwk = isPlainObject(privateKey) ? presentMembers(privateKey) : {};
  const id = keyId ?? jwk.kid;
  if (!isMeantFor(jwk, known) || (id !== undefined && !isText(id))) return undefined;
  return { privateKey: key, algorithm: known, keyId: id };
}

// RFC 7517 §4.2 to §4.4: a JWK says what it is for.
function isMeantFor({ alg, use, key_ops: operations }: Record<string, unknown>, algorithm: string): boolean {
  return (
    (alg === undefined || nameOf(alg) === nameOf(algorithm)) &&
    (use === undefined || use === 'sig') &&
    (operations === undefined || (Array.isArray(operations) && operations.includes('sign')))
  );
}

/** Signs a JWT with a key that `readSigningKey` has read. */
export async function signJwt(
  claims: JWTPayload,
  { privateKey, algorithm, keyId }: SigningKeyOptions,
): Promise<string> {
  const key = toPrivateKey(privateKey);
  if (key === undefined) throw new TypeError('not a private key');
  const header = { alg: algorithm, ...(keyId === undefined ? {} : { kid: keyId }) };
  return new SignJWT(claims).setProtectedHeader(header).sign(key);
}

/** What is wrong with a key, for a developer. It contains nothing of the key except its type. */
export function describeSigningKey(value: unknown): string | undefined {
  if (!isPlainObject(value)) return undefined;
  const key = toPrivateKey(value.privateKey);
  if (key === undefined) {
    return 'Pass a private key that is not encrypted: PEM (PKCS #8, PKCS #1 or SEC 1), a KeyObject, a JWK or a CryptoKey.';
  }
  const fitting = ASYMMETRIC.filter((algorithm) => fits(key, algorithm));
  if (fitting.length === 0)
    return 'Pass an RSA key of at least 2,048 bits, an EC key of P-256, P-384 or P-521, or an Ed25519 key.';
  const { algorithm } = value;
  if (!fitting.some((each) => each === algorithm)) return `This key is for ${fitting.join(', ')}.`;
  const isMeant = !isPlainObject(value.privateKey) || isMeantFor(presentMembers(value.privateKey), String(algorithm));
  return isMeant ? undefined : 'Pass a JWK whose alg, use and key_ops allow to sign with this algorithm.';
}

function toPrivateKey(value: unknown): KeyObject | CryptoKey | undefined {
  try {
    if (value instanceof KeyObject) return value.type === 'private' ? value : undefined;
    if (isCryptoKey(value)) return value.type === 'private' && value.usages.includes('sign') ? value : undefined;
    if (typeof value === 'string') return readPem(value);
    return isPlainObject(value) ? createPrivateKey({ key: presentMembers(value), format: 'jwk' }) : undefined;
  } catch {
    return undefined;
  }
}

// A file may also contain the certificate or the parameters of the curve.
function readPem(text: string): KeyObject | undefined {
  const blocks = readPemBlocks(text)?.filter(({ label }) => PRIVATE_LABELS.includes(label));
  const [block] = blocks ?? [];
  return block !== undefined && blocks?.length === 1 ? createPrivateKey(block.text) : undefined;
}

function isCryptoKey(value: unknown): value is CryptoKey {
  return typeof value === 'object' && value !== null && types.isCryptoKey(value);
}

function fits(key: KeyObject | CryptoKey, algorithm: AsymmetricAlgorithm): boolean {
  const needed = KEY_TYPES.find(
    ({ prefix }) => algorithm === prefix || (prefix.length === 2 && algorithm.startsWith(prefix)),
  );
  if (needed === undefined) return false;
  return key instanceof KeyObject ? fitsKeyObject(key, needed) : fitsCryptoKey(key, needed, algorithm);
}

type KeyType = (typeof KEY_TYPES)[number];

function fitsKeyObject(key: KeyObject, needed: KeyType): boolean {
  const { namedCurve, modulusLength = MIN_RSA_BITS } = key.asymmetricKeyDetails ?? {};
  const curve = 'curve' in needed ? needed.curve : undefined;
  return key.asymmetricKeyType === needed.type && namedCurve === curve && modulusLength >= MIN_RSA_BITS;
}

// The algorithm of a CryptoKey contains its hash and its curve.
function fitsCryptoKey(key: CryptoKey, needed: KeyType, algorithm: AsymmetricAlgorithm): boolean {
  const { name, hash, namedCurve, modulusLength = MIN_RSA_BITS } = key.algorithm as RsaOrEcKeyAlgorithm;
  const curve = 'webCurve' in needed ? needed.webCurve : undefined;
  const isHash = hash === undefined || hash.name === `SHA-${algorithm.slice(2)}`;
  return name === needed.webCrypto && namedCurve === curve && isHash && modulusLength >= MIN_RSA_BITS;
}

interface RsaOrEcKeyAlgorithm {
  readonly name: string;
  readonly hash?: { readonly name: string };
  readonly namedCurve?: string;
  readonly modulusLength?: number;
}

// RFC 9864 §2.2: both names of the same algorithm.
function nameOf(algorithm: unknown): unknown {
  return algorithm === 'Ed25519' ? 'EdDSA' : algorithm;
}
