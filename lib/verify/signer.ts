import { InvalidTokenError } from '../errors.js';
import type { Keys, KeySource } from '../issuer/keys.js';
import type { ParsedJwt } from '../token/jwt.js';
import { isSignedWith } from '../token/signature.js';

/** The keys among which the one is that the token was signed with. */
export async function findSigner(jwt: ParsedJwt, source: KeySource): Promise<Keys> {
  const { alg, kid } = jwt.header;
  const kept = await source.get();
  const found = await kept.find(alg, kid);
  if (await isSignedWith(found, jwt)) return kept;
  // A key that was named and found has had its say. One that was not found, or not named, may be newer than ours.
  if (found.length > 0 && kid !== undefined) throw new InvalidTokenError('signature_mismatch');
  const asked = await source.ask();
  if (asked !== kept && (await isSignedWith(await asked.find(alg, kid), jwt))) return asked;
  throw new InvalidTokenError(found.length > 0 ? 'signature_mismatch' : 'unknown_key');
}
