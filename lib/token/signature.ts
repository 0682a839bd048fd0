import { constants, createHmac, type KeyObject, timingSafeEqual, verify } from 'node:crypto';
import type { ParsedJwt } from './parse-jwt.js';

/** What a signature check needs of a JWS. */
export type SignedJws = Pick<ParsedJwt, 'signingInput' | 'signature'> & { readonly header: { readonly alg: string } };

/** Everything about an algorithm that a signature check must not take from the token. */
interface Algorithm {
  /** node:crypto's name of the key type. */
  readonly keyType: 'rsa' | 'ec' | 'ed25519' | 'secret';
  /** OpenSSL's name of the hash; none where the algorithm has its own. */
  readonly hash: string | undefined;
  /** OpenSSL's name of the curve. */
  readonly curve?: string | undefined;
  /** Exact length of a signature where the algorithm fixes it. Bytes. */
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

// RFC 7518 §3.4: R and S side by side, each as long as the curve's order; not DER.
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
 * Whether the JWS was signed with one of these keys (RFC 7515 §5.2). The algorithm has been found among the configured
 * ones before, and a key serves only the algorithm that its type and curve are for.
 *
 * This goes to `node:crypto` directly, because on the path of every new token WebCrypto costs about twice as much.
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

// An RSA verification with the usual exponent takes about 20 µs; handing it to another thread and back costs nearly as
// much again. The others take 50 to 1,000 µs: those do not hold up the event loop.
function isQuick(key: KeyObject): boolean {
  const { modulusLength, publicExponent } = key.asymmetricKeyDetails ?? {};
  if (modulusLength === undefined || publicExponent === undefined) return false;
  return modulusLength <= QUICK_RSA_BITS && publicExponent <= USUAL_EXPONENT;
}
