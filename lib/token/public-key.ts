import { createPublicKey, KeyObject } from 'node:crypto';
import { isPlainObject } from '../util/is-plain-object.js';
import { hasPrivateMember, presentMembers } from './jwk.js';
import type { Jwk } from './jwk-types.js';
import { readPemBlocks } from './pem.js';

/** A public key of an issuer: PEM text, a `KeyObject` of node:crypto, or a JWK. One PEM text may contain several keys. */
export type PublicKey = string | KeyObject | Jwk;

/** SPKI, PKCS #1, and X.509, of which only the key is used: the validity of a certificate is not checked. */
const PUBLIC_LABELS = ['PUBLIC KEY', 'RSA PUBLIC KEY', 'CERTIFICATE'];
const KEY_TYPES: readonly unknown[] = ['rsa', 'ec', 'ed25519'];
const CURVES: readonly unknown[] = ['prime256v1', 'secp384r1', 'secp521r1', undefined];

/** The JWKs of public keys; `undefined` if one of them is not a public key that can verify signatures. */
export function toPublicJwks(value: unknown): Jwk[] | undefined {
  const values: unknown[] = Array.isArray(value) ? value : [value];
  const jwks = values.map(toJwks);
  const isValid = jwks.length > 0 && jwks.every((each) => each !== undefined && each.length > 0);
  return isValid ? jwks.flatMap((each) => each ?? []) : undefined;
}

/** Whether text or an object contains a private key, which must not be passed to an API. */
export function isPrivateKey(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('PRIVATE KEY-----');
  if (value instanceof KeyObject) return value.type === 'private';
  return isPlainObject(value) && hasPrivateMember(presentMembers(value));
}

function toJwks(value: unknown): Jwk[] | undefined {
  if (isPrivateKey(value)) return undefined;
  try {
    if (typeof value === 'string') return readPem(value);
    if (value instanceof KeyObject) return [toJwk(value)];
    // A JWK limits what its key is for (`use`, `key_ops`, `alg`), so its members are preserved.
    if (!isPlainObject(value)) return undefined;
    const members = presentMembers(value);
    return [{ ...members, ...toJwk(createPublicKey({ key: members, format: 'jwk' })) }];
  } catch {
    return undefined;
  }
}

function readPem(text: string): Jwk[] | undefined {
  return readPemBlocks(text)?.map((block) => {
    if (!PUBLIC_LABELS.includes(block.label)) throw new TypeError('not a public key');
    return toJwk(createPublicKey(block.text));
  });
}

/** @throws TypeError for a key that cannot verify the signature of a token. */
function toJwk(key: KeyObject): Jwk {
  const isUsable =
    key.type === 'public' &&
    KEY_TYPES.includes(key.asymmetricKeyType) &&
    CURVES.includes(key.asymmetricKeyDetails?.namedCurve);
  if (!isUsable) throw new TypeError('not a public key that verifies signatures');
  return key.export({ format: 'jwk' });
}
