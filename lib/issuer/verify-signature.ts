import type { ParsedJwt } from '../token/parse-jwt.js';
import { rejectToken } from '../token/reject-token.js';
import { isSignedWith } from '../token/signature.js';
import type { KeySet, KeySource } from './key-set.js';
import type { RequestBudget } from './request-budget.js';

/**
 * Verifies the signature of a token and returns the keys it was verified with. If no cached key verifies it, the issuer may
 * have a new key, under a new key id or under the same one, so the keys are fetched again.
 *
 * @throws InvalidTokenError if no key of the issuer signed it; UpstreamError if that is unknown.
 */
export async function verifySignature(jwt: ParsedJwt, source: KeySource, budget?: RequestBudget): Promise<KeySet> {
  const { alg, kid } = jwt.header;
  const search = { since: source.fetches, budget };
  const cached = await source.get();
  if (await isSignedByOne(cached, jwt)) return cached;
  const reloaded = await source.reloadForUnknownKey(cached, search);
  if (reloaded.version !== cached.version && (await isSignedByOne(reloaded, jwt))) return reloaded;
  const candidates = await reloaded.find(alg, kid);
  if (candidates.length === 0) rejectToken('unknown_key', 'kid', reloaded.kids, kid);
  rejectToken('signature_mismatch', 'signature', `a signature of the key ${String(kid)} (${alg})`, undefined);
}

async function isSignedByOne(keys: KeySet, jwt: ParsedJwt): Promise<boolean> {
  return isSignedWith(await keys.find(jwt.header.alg, jwt.header.kid), jwt);
}
