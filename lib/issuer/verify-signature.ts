import { InvalidTokenError } from '../errors.js';
import type { KeySet, KeySource } from './key-set.js';
import type { ParsedJwt } from '../token/parse-jwt.js';
import { isSignedWith } from '../token/signature.js';

/** The keys among which the one is that the token was signed with. */
export async function verifySignature(jwt: ParsedJwt, source: KeySource): Promise<KeySet> {
  const { alg, kid } = jwt.header;
  const cached = await source.get();
  const found = await cached.find(alg, kid);
  if (await isSignedWith(found, jwt)) return cached;
  // A key that was named and found has had its say. One that was not found, or not named, may be newer than ours.
  if (found.length > 0 && kid !== undefined) throw new InvalidTokenError('signature_mismatch');
  const reloaded = await source.reloadForUnknownKey();
  if (reloaded.version !== cached.version && (await isSignedWith(await reloaded.find(alg, kid), jwt))) return reloaded;
  throw new InvalidTokenError(found.length > 0 ? 'signature_mismatch' : 'unknown_key');
}
