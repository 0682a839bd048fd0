import { InvalidTokenError } from '../errors.js';
import type { ParsedJwt } from '../token/parse-jwt.js';
import { isSignedWith } from '../token/signature.js';
import type { KeySet, KeySource } from './key-set.js';

/**
 * Verifies the signature of a token and returns the keys it was verified with. If no cached key verifies it, the issuer may
 * have a new key, under a new key id or under the same one, so the keys are fetched again.
 *
 * @throws InvalidTokenError if no key of the issuer signed it; UpstreamError if that is unknown.
 */
export async function verifySignature(jwt: ParsedJwt, source: KeySource): Promise<KeySet> {
  const cached = await source.get();
  if (await isSignedByOne(cached, jwt)) return cached;
  const reloaded = await source.reloadForUnknownKey(cached);
  if (reloaded.version !== cached.version && (await isSignedByOne(reloaded, jwt))) return reloaded;
  const candidates = await reloaded.find(jwt.header.alg, jwt.header.kid);
  throw new InvalidTokenError(candidates.length > 0 ? 'signature_mismatch' : 'unknown_key');
}

async function isSignedByOne(keys: KeySet, jwt: ParsedJwt): Promise<boolean> {
  return isSignedWith(await keys.find(jwt.header.alg, jwt.header.kid), jwt);
}
