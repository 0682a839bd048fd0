import { createLocalJWKSet, type JWK } from 'jose';
import { isPlainObject } from '../util/is-plain-object.js';

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

const CURVE_ALGORITHMS: ReadonlyMap<string | undefined, string> = new Map([
  ['P-256', 'ES256'],
  ['P-384', 'ES384'],
  ['P-521', 'ES512'],
  ['Ed25519', 'EdDSA'],
]);

/** How large an RSA key may be, because verifying costs more the larger it is. Bits. */
export interface RsaLimits {
  readonly modulus: number;
  readonly exponent: number;
}

/**
 * The points of Ed25519 whose order divides 8, without the bit for the sign of x (RFC 8032 §5.1.2). Everybody can create
 * signatures that such a key verifies, and OpenSSL uses it. Two of the points have a second encoding that OpenSSL reads.
 */
const SMALL_ORDER: readonly string[] = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
];

/**
 * Whether a JWK (RFC 7517 §4) is safe as a public key: it has no private or symmetric member, its type can sign, an RSA key
 * has a safe size, and a key on Ed25519 does not have a small order. It does not check whether the key is well-formed; the
 * import does.
 */
export function isSafePublicJwk(jwk: unknown, limits: RsaLimits): jwk is JWK {
  if (!isPlainObject(jwk)) return false;
  if (hasPrivateMember(jwk)) return false;
  if (jwk.kty === 'RSA') return isSafeRsa(jwk, limits);
  return jwk.kty === 'EC' || (jwk.kty === 'OKP' && !isSmallOrder(jwk));
}

/** The members of a JWK that are present: some servers write absent members as `null`. */
export function presentMembers(jwk: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(jwk).filter(([, value]) => value !== undefined && value !== null));
}

/** Whether a JWK is private or symmetric. In a public document, such a key is public. */
export function hasPrivateMember(jwk: Readonly<Record<string, unknown>>): boolean {
  return PRIVATE_MEMBERS.some((name) => Object.hasOwn(jwk, name));
}

/** The algorithm that a public key is for, or one of them; `undefined` if it is not for signatures. */
export function signatureAlgorithmOf({ alg, kty, crv }: JWK): string | undefined {
  if (alg !== undefined) return alg;
  return kty === 'RSA' ? 'RS256' : CURVE_ALGORITHMS.get(crv);
}

/**
 * Returns a function that finds and imports the public key for `alg` and `kid` of a header. jose compares them with `kty`,
 * `crv`, `use`, `key_ops` and `alg` of each key (RFC 7517 §4).
 *
 * @throws an error of jose if no key matches, or more than one.
 */
export function createKeySelector(keys: readonly JWK[]): ReturnType<typeof createLocalJWKSet> {
  return createLocalJWKSet({ keys: keys.map((jwk) => withoutOtherOperations(withoutSynonym(jwk))) });
}

// jose imports a key for all of its operations, and WebCrypto imports no public key for `sign`. Here a key only verifies.
function withoutOtherOperations(jwk: JWK): JWK {
  const { key_ops: operations, ...others } = jwk;
  const isUsable = Array.isArray(operations) && operations.includes('verify') && !hasRepeatedOperation(jwk);
  return isUsable ? others : jwk;
}

/** RFC 7517 §4.3: `key_ops` must not contain an operation twice. */
export function hasRepeatedOperation({ key_ops: operations }: Readonly<Record<string, unknown>>): boolean {
  return Array.isArray(operations) && new Set(operations).size !== operations.length;
}

// RFC 9864 §2.2: EdDSA with the curve Ed25519, and Ed25519, are the same algorithm, so a key with one name verifies tokens
// with the other. Which names a header may have is checked elsewhere.
function withoutSynonym(jwk: JWK): JWK {
  const { alg, ...others } = jwk;
  return jwk.crv === 'Ed25519' && (alg === 'EdDSA' || alg === 'Ed25519') ? others : jwk;
}

function isSmallOrder({ crv, x }: Record<string, unknown>): boolean {
  if (crv !== 'Ed25519' || typeof x !== 'string') return false;
  const point = Buffer.from(x, 'base64url');
  point[31] = (point[31] ?? 0) & 0x7f;
  return SMALL_ORDER.includes(point.toString('hex'));
}

// RFC 7518 §3.3: 2048 bits or larger.
function isSafeRsa({ n, e }: Record<string, unknown>, { modulus, exponent }: RsaLimits): boolean {
  const bits = bitLength(n);
  if (bits < 2048 || bits > modulus) return false;
  const exponentBits = bitLength(e);
  const isOdd = typeof e === 'string' && ((Buffer.from(e, 'base64url').at(-1) ?? 0) & 1) === 1;
  return exponentBits > 1 && exponentBits <= exponent && isOdd;
}

/** The length of a base64url integer. Bits; 0 if it is not one. */
export function bitLength(value: unknown): number {
  if (typeof value !== 'string') return 0;
  const bytes = Buffer.from(value, 'base64url');
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24;
}
