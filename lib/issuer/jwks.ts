import { KeyObject } from 'node:crypto';
import { errors, type JWK } from 'jose';
import { isSafePublicJwk, type RsaLimits, createKeySelector } from '../token/jwk.js';
import { HttpError } from './http.js';

const MAX_KEYS = 100;
const MAX_CANDIDATES = 5;
const MAX_RSA: RsaLimits = { modulus: 16_384, exponent: 256 };

/**
 * The usable public keys of one JWKS (RFC 7517 §5). Unsafe keys are left out, so that one bad key does not make the others
 * unusable.
 */
export class Jwks {
  /** Equal for two sets with the same usable keys. */
  readonly fingerprint: string;
  readonly keys: readonly JWK[];
  readonly #kids: ReadonlySet<unknown>;
  readonly #select: ReturnType<typeof createKeySelector>;
  // Only found keys are cached, so the number of keys limits its size, and not the key ids that callers make up.
  readonly #found = new Map<string, Promise<readonly KeyObject[]>>();

  private constructor(keys: JWK[]) {
    this.keys = keys;
    this.#kids = new Set(keys.map(({ kid }) => kid));
    this.fingerprint = JSON.stringify(keys);
    this.#select = createKeySelector(keys);
  }

  /** Creates a set from a document; `undefined` if it is not a JWKS or has too many keys. */
  static of(document: unknown): Jwks | undefined {
    if (typeof document !== 'object' || document === null || !('keys' in document)) return undefined;
    const { keys } = document;
    if (!Array.isArray(keys) || keys.length > MAX_KEYS) return undefined;
    return new Jwks(keys.filter((key) => isSafePublicJwk(key, MAX_RSA)));
  }

  /** Creates a set from a response of the issuer. @throws HttpError if it is not a JWKS. */
  static fetchedFrom(url: string, document: unknown): Jwks {
    const set = Jwks.of(document);
    if (set === undefined) throw new HttpError('invalid', `${url} is not a JWKS, or has more than ${MAX_KEYS} keys`);
    return set;
  }

  /** Returns the keys, at most 5, that may have signed a token with this algorithm and key id. */
  async find(alg: string, kid: string | undefined): Promise<readonly KeyObject[]> {
    const name = kid === undefined ? alg : `${alg} ${kid}`;
    const known = this.#found.get(name);
    if (known !== undefined) return known;
    // A flood of made-up key ids must be cheap, and jose creates an error for each of them.
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
      // A key that cannot be imported counts as missing.
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
