import { constants, createHmac, type KeyObject, timingSafeEqual, verify } from 'node:crypto';
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
  readonly parameters: Readonly<Record<string, unknown>>;
}

const rsa = (hash: string): Algorithm => ({
  keyType: 'rsa',
  hash,
  parameters: { padding: constants.RSA_PKCS1_PADDING },
});

// RFC 7518 §3.5: the salt is as long as the hash output.
const pss = (hash: string, saltLength: number): Algorithm => ({
  keyType: 'rsa',
  hash,
  parameters: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength },
});

// RFC 7518 §3.4: the signature is R followed by S, each as long as the order of the curve. It is not DER.
const ecdsa = (hash: string, curve: string, signatureBytes: number): Algorithm => ({
  keyType: 'ec',
  hash,
  curve,
  signatureBytes,
  parameters: { dsaEncoding: 'ieee-p1363' },
});

const ed25519: Algorithm = { keyType: 'ed25519', hash: undefined, signatureBytes: 64, parameters: {} };

const hmac = (hash: string, signatureBytes: number): Algorithm => ({
  keyType: 'secret',
  hash,
  signatureBytes,
  parameters: {},
});

const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  ['RS256', rsa('sha256')],
  ['RS384', rsa('sha384')],
  ['RS512', rsa('sha512')],
  ['PS256', pss('sha256', 32)],
  ['PS384', pss('sha384', 48)],
  ['PS512', pss('sha512', 64)],
  ['ES256', ecdsa('sha256', 'prime256v1', 64)],
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

/**
 * Whether the JWS was signed with one of these keys (RFC 7515 §5.2). The caller has checked that the algorithm is accepted.
 * A key is used only if its type and curve fit the algorithm.
 *
 * It calls `node:crypto` directly, because WebCrypto needs about twice as much time for each new token.
 */
export async function isSignedWith(keys: readonly KeyObject[], jwt: SignedJws): Promise<boolean> {
  const algorithm = ALGORITHMS.get(jwt.header.alg);
  if (algorithm === undefined) return false;
  const signature = Buffer.from(jwt.signature, 'base64url');
  if (algorithm.signatureBytes !== undefined && signature.length !== algorithm.signatureBytes) return false;
  const data = Buffer.from(jwt.signingInput, 'latin1');
  for (const key of keys) {
    if (isFor(algorithm, key) && (await verifies(algorithm, key, data, signature))) return true;
  }
  return false;
}

function isFor(algorithm: Algorithm, key: KeyObject): boolean {
  if (key.type === 'secret') return algorithm.keyType === 'secret';
  if (key.type !== 'public' || key.asymmetricKeyType !== algorithm.keyType) return false;
  const { modulusLength = MIN_RSA_BITS, namedCurve } = key.asymmetricKeyDetails ?? {};
  return namedCurve === algorithm.curve && modulusLength >= MIN_RSA_BITS;
}

function verifies(algorithm: Algorithm, key: KeyObject, data: Buffer, signature: Buffer): boolean | Promise<boolean> {
  const { hash, parameters } = algorithm;
  if (algorithm.keyType === 'secret') {
    const expected = createHmac(hash ?? '', key)
      .update(data)
      .digest();
    return timingSafeEqual(expected, signature);
  }
  if (isQuick(key)) return verify(hash, data, { key, ...parameters }, signature);
  return new Promise((resolve, reject) => {
    verify(hash, data, { key, ...parameters }, signature, (error, result) => {
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}

// An RSA verification with the usual exponent takes about 20 µs, and a second thread would need nearly the same time.
// The others take 50 to 1,000 µs, so they run on another thread and do not block the event loop.
function isQuick(key: KeyObject): boolean {
  const { modulusLength, publicExponent } = key.asymmetricKeyDetails ?? {};
  if (modulusLength === undefined || publicExponent === undefined) return false;
  return modulusLength <= QUICK_RSA_BITS && publicExponent <= USUAL_EXPONENT;
}
