import { createHash, KeyObject, randomUUID, sign, webcrypto } from 'node:crypto';

/** The signature algorithms of the test issuer. */
export type TestAlgorithm = 'ES256' | 'RS256' | 'PS256' | 'EdDSA';

interface Parameters {
  readonly generate: Readonly<Record<string, unknown>>;
  readonly hash: string | null;
  readonly sign: Readonly<Record<string, unknown>>;
}

const RSA = { modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: 'SHA-256' };

const ALGORITHMS: Readonly<Record<TestAlgorithm, Parameters>> = {
  ES256: {
    generate: { name: 'ECDSA', namedCurve: 'P-256' },
    hash: 'sha256',
    // JWS has the signature as two numbers (RFC 7518 §3.4), not as DER.
    sign: { dsaEncoding: 'ieee-p1363' },
  },
  RS256: { generate: { name: 'RSASSA-PKCS1-v1_5', ...RSA }, hash: 'sha256', sign: {} },
  // Padding 6 is RSA_PKCS1_PSS_PADDING; the salt is as long as the hash (RFC 7518 §3.5).
  PS256: { generate: { name: 'RSA-PSS', ...RSA }, hash: 'sha256', sign: { padding: 6, saltLength: 32 } },
  EdDSA: { generate: { name: 'Ed25519' }, hash: null, sign: {} },
};

/** A key pair that signs JWTs. Signing is synchronous, so that tokens are available without a promise. */
export class TestKey {
  readonly algorithm: TestAlgorithm;
  readonly kid = randomUUID();
  /** Without `kid`, `use` and `alg`. */
  readonly publicJwk: Readonly<Record<string, unknown>>;
  readonly #privateKey: KeyObject;

  private constructor(algorithm: TestAlgorithm, { privateKey, publicKey }: CryptoKeyPair) {
    this.algorithm = algorithm;
    this.#privateKey = KeyObject.from(privateKey);
    this.publicJwk = { ...KeyObject.from(publicKey).export({ format: 'jwk' }) };
  }

  static async generate(algorithm: TestAlgorithm): Promise<TestKey> {
    const parameters = ALGORITHMS[algorithm].generate as unknown as webcrypto.EcKeyGenParams;
    const pair = await webcrypto.subtle.generateKey(parameters, true, ['sign', 'verify']);
    return new TestKey(algorithm, pair);
  }

  /** RFC 7638, SHA-256. */
  get thumbprint(): string {
    const { crv, e, kty, n, x, y } = this.publicJwk;
    // JSON.stringify leaves out the members that the key does not have; the order is lexicographic.
    return sha256(JSON.stringify({ crv, e, kty, n, x, y }));
  }

  /** Signs a JWT; `undefined` members are left out. */
  sign(header: object, claims: object): string {
    const input = `${encode({ alg: this.algorithm, ...header })}.${encode(claims)}`;
    const { hash, sign: options } = ALGORITHMS[this.algorithm];
    const signature = sign(hash, Buffer.from(input), { key: this.#privateKey, ...options });
    return `${input}.${signature.toString('base64url')}`;
  }
}

type CryptoKeyPair = webcrypto.CryptoKeyPair;

/** A segment of a JWT. */
export function encode(json: object): string {
  return Buffer.from(JSON.stringify(json)).toString('base64url');
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
