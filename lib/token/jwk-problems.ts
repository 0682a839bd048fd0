import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { isPlainObject } from '../util/is-plain-object.js';
import { ASYMMETRIC } from './algorithms.js';
import {
  bitLength,
  hasPrivateMember,
  hasRepeatedOperation,
  isSafePublicJwk,
  presentMembers,
  type RsaLimits,
  signatureAlgorithmOf,
} from './jwk.js';

type Members = Readonly<Record<string, unknown>>;

/** Registered values (RFC 7517, 7518, 8037), which are safe to show. All others are described. */
const REGISTERED: Readonly<Record<string, readonly string[]>> = {
  use: ['sig', 'enc'],
  kty: ['RSA', 'EC', 'OKP', 'oct'],
  crv: ['P-256', 'P-384', 'P-521', 'secp256k1', 'Ed25519', 'Ed448', 'X25519', 'X448'],
  alg: [
    ...['HS256', 'HS384', 'HS512', 'ES256K', 'RSA1_5', 'RSA-OAEP', 'RSA-OAEP-256', 'RSA-OAEP-384', 'RSA-OAEP-512'],
    ...['ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A192KW', 'ECDH-ES+A256KW', 'A128KW', 'A256KW', 'dir', 'none'],
  ],
};

const SIGNATURE_CURVES = ['P-256', 'P-384', 'P-521', 'Ed25519'];

/** Why a key of a JWKS is for something else than signatures; many servers publish encryption keys in the same set. */
export function otherPurposeOf({ use, key_ops: operations, alg }: Members): string | undefined {
  if (use !== undefined && use !== 'sig') return `its use is ${show('use', use)}, not "sig"`;
  if (Array.isArray(operations) && !operations.includes('verify')) return 'its key_ops do not contain "verify"';
  const isKnown = alg === undefined || ASYMMETRIC.some((each) => each === alg);
  return isKnown ? undefined : `its alg ${show('alg', alg)} is not a signature algorithm that is supported`;
}

/** Why a key of a JWKS that is for signatures cannot be used. */
export function defectOf(key: Members, limits: RsaLimits): string | undefined {
  if (key.kty === 'oct') return 'it is symmetric, and everybody can read it';
  if (hasPrivateMember(key)) return 'it contains a private key, which everybody can read. Replace it now';
  const { key_ops: operations } = key;
  if (operations !== undefined && !isArrayOfStrings(operations)) return 'its key_ops are not an array of strings';
  if (hasRepeatedOperation(key)) return 'its key_ops contain an operation twice';
  const bits = rsaBitsOf(key);
  if (bits !== undefined && bits < 2_048) return `it has ${bits} bits, and at least 2048 are required`;
  if (key.kty !== 'RSA' && !SIGNATURE_CURVES.includes(String(key.crv))) {
    return `its type ${show('kty', key.kty)} or curve ${show('crv', key.crv)} is not supported`;
  }
  if (!isSafePublicJwk(key, limits)) return 'its members are not those of a safe public key';
  if (!isImportable(key)) return 'its members do not form a public key';
  return fitsItsAlgorithm(key) ? undefined : 'its alg does not fit its type';
}

function isArrayOfStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function fitsItsAlgorithm({ kty, crv, alg }: Members): boolean {
  if (alg === undefined) return true;
  if (kty === 'RSA') return typeof alg === 'string' && /^[RP]S/.test(alg);
  return signatureAlgorithmOf({ kty: String(kty), crv: String(crv) }) === (alg === 'Ed25519' ? 'EdDSA' : alg);
}

/** The size of an RSA key; `undefined` for other keys. */
export function rsaBitsOf({ kty, n }: Members): number | undefined {
  return kty === 'RSA' && typeof n === 'string' ? bitLength(n) : undefined;
}

const MAX_DESCRIBED = 10;

/** Why no key of a JWKS can verify a signature, for each key. It quotes nothing of the keys but registered values. */
export function describeUnusableKeys(keys: readonly unknown[], limits: RsaLimits): string {
  if (keys.length === 0) return 'the set is empty';
  const described = keys.slice(0, MAX_DESCRIBED).map((key, i) => {
    const members = isPlainObject(key) ? presentMembers(key) : undefined;
    const reason =
      members === undefined
        ? 'it is not a JSON object'
        : (otherPurposeOf(members) ?? defectOf(members, limits) ?? 'its members are not usable');
    return `key ${i + 1}: ${reason}`;
  });
  const rest = keys.length - described.length;
  return [...described, ...(rest === 0 ? [] : [`and ${rest} more`])].join('; ');
}

function show(member: string, value: unknown): string {
  const isRegistered = typeof value === 'string' && REGISTERED[member]?.includes(value) === true;
  if (isRegistered) return JSON.stringify(value);
  return value === undefined ? 'undefined' : 'unknown';
}

function isImportable(key: Members): boolean {
  try {
    createPublicKey({ key: key as JsonWebKey, format: 'jwk' });
    return true;
  } catch {
    return false;
  }
}
