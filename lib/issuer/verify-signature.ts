import type { KeySet, KeySource } from './key-set.js';
import type { ParsedJwt } from '../token/parse-jwt.js';
import { rejectToken } from '../token/reject-token.js';
import { isSignedWith } from '../token/signature.js';

/**
 * Verifies the signature and returns the keys that contain the key of the token.
 *
 * @throws InvalidTokenError, or UpstreamError if there are no keys.
 */
export async function verifySignature(jwt: ParsedJwt, source: KeySource): Promise<KeySet> {
  const { alg, kid } = jwt.header;
  const cached = await source.get();
  const found = await cached.find(alg, kid);
  if (await isSignedWith(found, jwt)) return cached;
  // The key that the token names is cached and does not fit. A key that is not cached, or not named, may be newer.
  if (found.length > 0 && kid !== undefined) rejectSignature(jwt);
  const reloaded = await source.reloadForUnknownKey();
  if (reloaded.version !== cached.version && (await isSignedWith(await reloaded.find(alg, kid), jwt))) return reloaded;
  if (found.length > 0) rejectSignature(jwt);
  rejectToken('unknown_key', 'kid', reloaded.kids, kid);
}

function rejectSignature({ header }: ParsedJwt): never {
  rejectToken(
    'signature_mismatch',
    'signature',
    `a signature of the key ${String(header.kid)} (${header.alg})`,
    undefined,
  );
}
