import { InvalidTokenError } from '../errors.js';
import type { KeySet, KeySource } from './key-set.js';
import type { ParsedJwt } from '../token/parse-jwt.js';
import { isSignedWith } from '../token/signature.js';

/**
 * Verifies the signature of a token and returns the keys it was verified with.
 *
 * @throws InvalidTokenError if no key of the issuer signed it; UpstreamError if the keys are unavailable.
 */
export async function verifySignature(jwt: ParsedJwt, source: KeySource): Promise<KeySet> {
  const { alg, kid } = jwt.header;
  const cached = await source.get();
  const found = await cached.find(alg, kid);
  if (await isSignedWith(found, jwt)) return cached;
  // If the key with the token's key id is cached, its result is final. Otherwise the key may be newer than the cached ones.
  if (found.length > 0 && kid !== undefined) throw new InvalidTokenError('signature_mismatch');
  const reloaded = await source.reloadForUnknownKey();
  if (reloaded.version !== cached.version && (await isSignedWith(await reloaded.find(alg, kid), jwt))) return reloaded;
  throw new InvalidTokenError(found.length > 0 ? 'signature_mismatch' : 'unknown_key');
}
