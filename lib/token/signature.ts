import { constants, createHmac, type KeyObject, timingSafeEqual, verify } from 'node:crypto';
import { isPromise } from '../util/is-promise.js';
import type { ParsedJwt } from './parse-jwt.js';

/** The parts of a JWS that a signature check needs. */
export type SignedJws = Pick<ParsedJwt, 'signingInput' | 'signature'> & { readonly header: { readonly alg: string } };

/** The properties of an algorithm. None of them may come from the token. */
interface Algorithm {
  /** The name of the key type in node:crypto. */
  readonly keyType: 'rsa' | 'ec' | 'ed25519' | 'secret';
  /** The name of the hash in OpenSSL; `undefined` if the algorithm contains its hash. */
  readonly hash: string | undefined;
  /** The name of the curve in OpenSSL. */
  readonly curve?: string | undefined;
  /** The exact length of a signature, if the algorithm defines it. Bytes. */
  readonly signatureBytes?: number | undefined;
  /** What node:crypto must know in addition to the key; `undefined` if its defaults are right. */
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
}

// RSASSA-PKCS1-v1_5 is the default of node:crypto.
const rsa = (hash: string): Algorithm => ({ keyType: 'rsa', hash });

// RFC 7518 §3.5: the salt is as long as the hash output.
const pss = (hash: string, saltLength: number): Algorithm => ({
  keyType: 'rsa',
  hash,
  parameters: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength },
});

const ecdsa = (hash: string, curve: string, signatureBytes: number): Algorithm => ({
  keyType: 'ec',
  hash,
  curve,
  signatureBytes,
});

const ed25519: Algorithm = { keyType: 'ed25519', hash: undefined, signatureBytes: 64 };

const hmac = (hash: string, signatureBytes: number): Algorithm => ({ keyType: 'secret', hash, signatureBytes });

/** The name of the curve in OpenSSL. */
const P256 = 'prime256v1';

const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  ['RS256', rsa('sha256')],
  ['RS384', rsa('sha384')],
  ['RS512', rsa('sha512')],
  ['PS256', pss('sha256', 32)],
  ['PS384', pss('sha384', 48)],
  ['PS512', pss('sha512', 64)],
  ['ES256', ecdsa('sha256', P256, 64)],
  ['ES384', ecdsa('sha384', 'secp384r1', 96)],
  ['ES512', ecdsa('sha512', 'secp521r1', 132)],
  ['EdDSA', ed25519],
  ['Ed25519', ed25519],
  ['HS256', hmac('sha256', 32)],
  ['HS384', hmac('sha384', 48)],
  ['HS512', hmac('sha512', 64)],
]);

const MIN_RSA_BITS = 2048;
const QUICK_RSA_BITS = 3072;
const USUAL_EXPONENT = 65_537n;
/** How many keys are tried before other work of the process gets its turn. */
const MAX_CHECKS_IN_A_ROW = 4;

/**
 * Whether the JWS was signed with one of these keys (RFC 7515 §5.2). The caller has checked that the algorithm is accepted.
 * A key is used only if its type and curve fit the algorithm.
 * The result is a promise if another thread verifies the signature.
 *
 * It calls `node:crypto` directly, because WebCrypto needs about twice as much time for each new token.
 */
export function isSignedWith(keys: readonly KeyObject[], jwt: SignedJws): boolean | Promise<boolean> {
  const algorithm = ALGORITHMS.get(jwt.header.alg);
  if (algorithm === undefined) return false;
  const given = Buffer.from(jwt.signature, 'base64url');
  if (algorithm.signatureBytes !== undefined && given.length !== algorithm.signatureBytes) return false;
  const signature = algorithm.keyType === 'ec' ? toDer(given) : given;
  const data = Buffer.from(jwt.signingInput, 'latin1');
  for (const [i, key] of keys.entries()) {
    if (!isFor(algorithm, key)) continue;
    const result = verifies(algorithm, key, data, signature, i < MAX_CHECKS_IN_A_ROW && isQuick(key));
    if (isPromise(result)) return result.then((isSigned) => isSigned || isSignedWith(keys.slice(i + 1), jwt));
    if (result) return true;
  }
  return false;
}

function isFor(algorithm: Algorithm, key: KeyObject): boolean {
  if (key.type === 'secret') return algorithm.keyType === 'secret';
  if (key.type !== 'public' || key.asymmetricKeyType !== algorithm.keyType) return false;
  const { modulusLength = MIN_RSA_BITS, namedCurve } = key.asymmetricKeyDetails ?? {};
  return namedCurve === algorithm.curve && modulusLength >= MIN_RSA_BITS;
}

function verifies(
  algorithm: Algorithm,
  key: KeyObject,
  data: Buffer,
  signature: Buffer,
  isOnThisThread: boolean,
): boolean | Promise<boolean> {
  const { hash, parameters } = algorithm;
  if (algorithm.keyType === 'secret') {
    const expected = createHmac(hash ?? '', key)
      .update(data)
      .digest();
    return timingSafeEqual(expected, signature);
  }
  // Node 24 needs nearly twice as much time for an object with the key as for the key.
  const input = parameters === undefined ? key : { key, ...parameters };
  if (isOnThisThread) return verify(hash, data, input, signature);
  return new Promise((resolve, reject) => {
    verify(hash, data, input, signature, (error, result) => {
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}

/**
 * The DER encoding of an ECDSA signature (RFC 3279 §2.2.3). In a JWS it is R followed by S, each as long as the order of the
 * curve (RFC 7518 §3.4). node:crypto can convert it too, but only if the key is passed in an object. OpenSSL rejects an R or
 * S that is zero, or not less than the order.
 */
function toDer(signature: Buffer): Buffer {
  const { length } = signature;
  // A header of 2 or 3 bytes, then two integers, each with at most 3 bytes before its value.
  const der = Buffer.alloc(length + 9);
  const end = writeInteger(der, writeInteger(der, 3, signature, 0, length / 2), signature, length / 2, length);
  const content = end - 3;
  const header = content < 0x80 ? [0x30, content] : [0x30, 0x81, content];
  der.set(header, 3 - header.length);
  return der.subarray(3 - header.length, end);
}

/** Writes some bytes of a signature as an INTEGER, without zeros at the beginning. Returns the position after it. */
function writeInteger(der: Buffer, at: number, signature: Buffer, start: number, end: number): number {
  let first = start;
  while (first < end - 1 && signature[first] === 0) first++;
  // Without a zero before it, the highest bit would make it negative.
  const zeros = (signature[first] ?? 0) < 0x80 ? 0 : 1;
  const length = zeros + end - first;
  der.set([0x02, length], at);
  signature.copy(der, at + 2 + zeros, first, end);
  return at + 2 + length;
}

// RSA with the usual exponent and P-256 take 20 to 50 µs. Another thread would need 10 to 40 µs more, and all work of the
// process shares these threads. The others take 60 to 1,000 µs, so they run there and do not block the event loop.
function isQuick(key: KeyObject): boolean {
  const { modulusLength, publicExponent, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (namedCurve === P256) return true;
  if (modulusLength === undefined || publicExponent === undefined) return false;
  return modulusLength <= QUICK_RSA_BITS && publicExponent <= USUAL_EXPONENT;
}
