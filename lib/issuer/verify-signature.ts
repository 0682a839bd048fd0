import type { ParsedJwt } from '../token/parse-jwt.js';
import { rejectToken } from '../token/reject-token.js';
import { isSignedWith } from '../token/signature.js';
import { isPromise } from '../util/is-promise.js';
import type { KeySearch, KeySet, KeySource } from './key-set.js';
import type { RequestBudget } from './request-budget.js';

/**
 * Verifies the signature of a token and returns the keys it was verified with. If no cached key verifies it, the issuer may
 * have a new key, under a new key id or under the same one, so the keys are fetched again. With cached keys, a correct
 * signature that is quickly verified is no promise.
 *
 * The promise rejects with an InvalidTokenError if no key of the issuer signed it, with an UpstreamError if that is unknown.
 */
export function verifySignature(jwt: ParsedJwt, source: KeySource, budget?: RequestBudget): KeySet | Promise<KeySet> {
  const search: KeySearch = { since: source.fetches, budget };
  const cached = source.get();
  if (isPromise(cached)) return verifyWith(cached, undefined, jwt, source, search);
  const isSigned = isSignedByOne(cached, jwt);
  return isSigned === true ? cached : verifyWith(cached, isSigned, jwt, source, search);
}

async function verifyWith(
  keys: KeySet | PromiseLike<KeySet>,
  isSigned: boolean | Promise<boolean> | undefined,
  jwt: ParsedJwt,
  source: KeySource,
  search: KeySearch,
): Promise<KeySet> {
  const { alg, kid } = jwt.header;
  const cached = await keys;
  if (await (isSigned ?? isSignedByOne(cached, jwt))) return cached;
  const reloaded = await source.reloadForUnknownKey(cached, search);
  if (reloaded.version !== cached.version && (await isSignedByOne(reloaded, jwt))) return reloaded;
  const candidates = await reloaded.find(alg, kid);
  if (candidates.length === 0) rejectToken('unknown_key', 'kid', reloaded.kids, kid);
  const key = kid === undefined ? 'one of the keys' : `the key ${kid}`;
  rejectToken('signature_mismatch', 'signature', `a signature of ${key} (${alg})`, undefined);
}

function isSignedByOne(keys: KeySet, jwt: ParsedJwt): boolean | Promise<boolean> {
  const found = keys.find(jwt.header.alg, jwt.header.kid);
  return isPromise(found) ? found.then((candidates) => isSignedWith(candidates, jwt)) : isSignedWith(found, jwt);
}
