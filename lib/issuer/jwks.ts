import { KeyObject } from 'node:crypto';
import { errors, type JWK } from 'jose';
import { isSafePublicJwk, type RsaLimits, createKeySelector } from '../token/jwk.js';
import { HttpError } from './http.js';

const MAX_KEYS = 100;
const MAX_CANDIDATES = 5;
const MAX_RSA: RsaLimits = { modulus: 16_384, exponent: 256 };

/**
 * The usable public keys of one JWKS (RFC 7517 §5). jose selects and imports them; what cannot be safe is left out
 * beforehand, so that one bad key does not spoil the good ones.
 */
export class Jwks {
  /** Equal for two sets with the same usable keys. */
  readonly fingerprint: string;
  readonly keys: readonly JWK[];
  readonly #kids: ReadonlySet<unknown>;
  readonly #select: ReturnType<typeof createKeySelector>;
  // Only what was found is remembered, so its size is bounded by the keys and not by what callers ask for.
  readonly #found = new Map<string, Promise<readonly KeyObject[]>>();

  private constructor(keys: JWK[]) {
    this.keys = keys;
    this.#kids = new Set(keys.map(({ kid }) => kid));
    this.fingerprint = JSON.stringify(keys);
    this.#select = createKeySelector(keys);
  }

  /** Makes a set out of a document; `undefined` where that is no JWKS or holds more keys than can be meant. */
  static of(document: unknown): Jwks | undefined {
    if (typeof document !== 'object' || document === null || !('keys' in document)) return undefined;
    const { keys } = document;
    if (!Array.isArray(keys) || keys.length > MAX_KEYS) return undefined;
    return new Jwks(keys.filter((key) => isSafePublicJwk(key, MAX_RSA)));
  }

  /** The same for a document of the issuer's, where being none is a failure of the issuer's. */
  static fetchedFrom(url: string, document: unknown): Jwks {
    const set = Jwks.of(document);
    if (set === undefined) throw new HttpError('invalid', `${url} is no JWKS, or one of more than ${MAX_KEYS} keys`);
    return set;
  }

  /** The keys that a token of this algorithm and key id may have been signed with, at most 5. */
  async find(alg: string, kid: string | undefined): Promise<readonly KeyObject[]> {
    const name = kid === undefined ? alg : `${alg} ${kid}`;
    const known = this.#found.get(name);
    if (known !== undefined) return known;
    // Made-up key ids come in floods, and jose tells each of them with an error.
    if (kid !== undefined && !this.#kids.has(kid)) return [];
    const search = this.#search(alg, kid);
    const keys = await search;
    if (keys.length > 0) this.#found.set(name, search);
    return keys;
  }

  async #search(alg: string, kid: string | undefined): Promise<readonly KeyObject[]> {
    try {
      const key = await this.#select(kid === undefined ? { alg } : { alg, kid });
      return [KeyObject.from(key)];
    } catch (error) {
      // The one key that is meant may be malformed in ways that only its import shows: then there is no such key.
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return [];
      const keys: KeyObject[] = [];
      for await (const key of error) {
        keys.push(KeyObject.from(key));
        if (keys.length === MAX_CANDIDATES) break;
      }
      return keys;
    }
  }
}
