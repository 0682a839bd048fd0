import { KeyObject } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { JWK } from 'jose';
import {
  createKeySelector,
  hasPrivateMember,
  isSafePublicJwk,
  presentMembers,
  type RsaLimits,
  signatureAlgorithmOf,
} from '../token/jwk.js';
import { describeUnusableKeys } from '../token/jwk-problems.js';
import { isPlainObject } from '../util/is-plain-object.js';
import { HttpError } from './http-error.js';

/** Maximum number of keys in a JWKS. */
const MAX_KEYS = 1_000;
/** Maximum number of keys that one token is tried with. Real key sets have fewer keys of one type. */
const MAX_CANDIDATES = 50;
/** How many usual keys an expensive one counts as: one attempt with it takes about a millisecond. */
const EXPENSIVE = 5;
/** Limits of the RSA keys of an issuer. Bits. */
export const MAX_RSA: RsaLimits = { modulus: 8_192, exponent: 32 };
/** The members that selecting and importing a key needs. Others, such as `x5c`, would only use memory. */
const TEXT_MEMBERS = ['kty', 'use', 'alg', 'crv', 'x', 'y', 'n', 'e'] as const;
const MAX_MEMBER_LENGTH = 4_096;
const MAX_KEY_OPS = 20;
/** How many keys are imported before other work of the process gets its turn. */
const IMPORTS_PER_TURN = 32;

/** One key, and its imports. A failed import is cached too, because a bad key would otherwise cost time for each token. */
class JwksKey {
  readonly jwk: JWK;
  readonly #imports = new Map<string, Promise<KeyObject | undefined>>();

  constructor(jwk: JWK) {
    this.jwk = jwk;
  }

  /** The key for an algorithm; `undefined` if it is not for this algorithm, or cannot be imported. */
  importFor(alg: string): Promise<KeyObject | undefined> {
    let imported = this.#imports.get(alg);
    if (imported === undefined) {
      imported = createKeySelector([this.jwk])({ alg }).then(
        (key) => KeyObject.from(key),
        () => undefined,
      );
      this.#imports.set(alg, imported);
    }
    return imported;
  }
}

/**
 * The usable public keys of one JWKS (RFC 7517 §5). Unsafe keys are left out, so that one bad key does not make the others
 * unusable.
 */
export class Jwks {
  /** Equal for two sets with the same keys. */
  readonly fingerprint: string;
  readonly keys: readonly JWK[];
  readonly #withKid = new Map<string, JwksKey[]>();
  readonly #withoutKid: JwksKey[] = [];
  readonly #all: readonly JwksKey[];
  // The keys limit the size of this map, and not the key ids that callers make up.
  readonly #found = new Map<string, readonly KeyObject[] | Promise<readonly KeyObject[]>>();

  private constructor(keys: readonly unknown[]) {
    const all: JwksKey[] = [];
    for (const given of keys) {
      const kid = isPlainObject(given) ? (given.kid ?? undefined) : undefined;
      // A token that names a key id is only tried with the keys of this id, also if none of them is usable.
      const sameKid = typeof kid === 'string' ? (this.#withKid.get(kid) ?? []) : undefined;
      if (sameKid !== undefined) this.#withKid.set(kid as string, sameKid);
      const jwk = neededMembers(given);
      if (jwk === undefined || !isSafePublicJwk(jwk, MAX_RSA)) continue;
      const key = new JwksKey(jwk);
      all.push(key);
      if (sameKid !== undefined) sameKid.push(key);
      else if (kid === undefined) this.#withoutKid.push(key);
    }
    this.#all = all;
    this.keys = all.map(({ jwk }) => jwk);
    this.fingerprint = JSON.stringify(this.keys);
  }

  /** Creates a set from a document; `undefined` if it is not a JWKS or has too many keys. */
  static of(document: unknown): Jwks | undefined {
    if (!isPlainObject(document)) return undefined;
    const { keys } = document;
    return Array.isArray(keys) && keys.length <= MAX_KEYS ? new Jwks(keys) : undefined;
  }

  /**
   * Creates a set from a response of the issuer. If the keys are the same as in the latest set, returns that set, with the
   * keys that it has imported. `name` is that of its address, for messages.
   *
   * @throws HttpError if it is not a JWKS, or has no usable key.
   */
  static async fetchedFrom(name: string, document: unknown, latest: Jwks | undefined): Promise<Jwks> {
    const set = Jwks.of(document);
    if (set === undefined) throw new HttpError('invalid', `${name} is not a JWKS, or has more than ${MAX_KEYS} keys`);
    if (set.fingerprint === latest?.fingerprint) return latest;
    if (!(await set.hasUsableKey())) throw noUsableKey(name, document);
    return set;
  }

  async hasUsableKey(): Promise<boolean> {
    for (const [i, key] of this.#all.entries()) {
      const alg = signatureAlgorithmOf(key.jwk);
      if (alg !== undefined && (await key.importFor(alg)) !== undefined) return true;
      if (i % IMPORTS_PER_TURN === IMPORTS_PER_TURN - 1) await nextTurn();
    }
    return false;
  }

  /**
   * Returns the keys, at most 50, or 10 expensive ones, that may have signed a token with this algorithm and key id. A key
   * without an id is a candidate for a key id that no other key has. A token without a key id is tried with all keys of its
   * algorithm.
   */
  find(alg: string, kid: string | undefined): readonly KeyObject[] | Promise<readonly KeyObject[]> {
    const sameKid = kid === undefined ? undefined : this.#withKid.get(kid);
    if (sameKid !== undefined) return this.#search(`${alg}/id/${kid ?? ''}`, alg, sameKid);
    return kid === undefined ? this.#search(alg, alg, this.#all) : this.#search(`${alg}/none`, alg, this.#withoutKid);
  }

  #search(name: string, alg: string, keys: readonly JwksKey[]): readonly KeyObject[] | Promise<readonly KeyObject[]> {
    if (keys.length === 0) return [];
    const found = this.#found.get(name);
    if (found !== undefined) return found;
    const importing = importAll(alg, keys).then((imported) => {
      this.#found.set(name, imported);
      return imported;
    });
    this.#found.set(name, importing);
    return importing;
  }
}

function noUsableKey(name: string, document: unknown): HttpError {
  const keys: unknown[] = isPlainObject(document) && Array.isArray(document.keys) ? document.keys : [];
  const text = `${name} has no key that can verify a signature: ${describeUnusableKeys(keys, MAX_RSA)}`;
  return new HttpError('invalid', text, { mistake: 'no_usable_key' });
}

async function importAll(alg: string, keys: readonly JwksKey[]): Promise<readonly KeyObject[]> {
  const found: KeyObject[] = [];
  let cost = 0;
  for (const [i, key] of keys.entries()) {
    const imported = await key.importFor(alg);
    if (imported !== undefined) {
      cost += costOf(imported);
      if (cost > MAX_CANDIDATES) break;
      found.push(imported);
    }
    if (i % IMPORTS_PER_TURN === IMPORTS_PER_TURN - 1) await nextTurn();
  }
  return found;
}

/** What an attempt to verify a signature costs, compared with an EC key on P-256. */
function costOf({ asymmetricKeyDetails = {} }: KeyObject): number {
  const { modulusLength = 0, publicExponent = 0n, namedCurve } = asymmetricKeyDetails;
  const isLargeCurve = namedCurve === 'secp384r1' || namedCurve === 'secp521r1';
  return isLargeCurve || modulusLength > 4_096 || publicExponent > 65_537n ? EXPENSIVE : 1;
}

/** Copies the needed members; `undefined` if one of them has a wrong type or is too long. `null` counts as absent. */
function neededMembers(given: unknown): JWK | undefined {
  if (!isPlainObject(given)) return undefined;
  const members = presentMembers(given);
  if (hasPrivateMember(members)) return undefined;
  const jwk: Record<string, unknown> = {};
  for (const name of TEXT_MEMBERS) {
    const value = members[name];
    if (value === undefined) continue;
    if (!isShortText(value)) return undefined;
    jwk[name] = value;
  }
  const { key_ops: keyOps, kid } = members;
  if (keyOps !== undefined) {
    if (!Array.isArray(keyOps) || keyOps.length > MAX_KEY_OPS || !keyOps.every(isShortText)) return undefined;
    jwk.key_ops = [...keyOps];
  }
  if (kid !== undefined) jwk.kid = isShortText(kid) ? kid : undefined;
  return jwk;
}

function isShortText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_MEMBER_LENGTH;
}
