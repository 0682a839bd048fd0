import { isPlainObject } from '../util/is-plain-object.js';
import { explainWith } from './explain.js';
import type { TokenVerifier } from './token-verifier.js';

export function isVerifier(value: unknown): value is TokenVerifier {
  return isPlainObject(value) && typeof value.verify === 'function';
}

/** A verifier that does the same as another one, except for some members. */
export function wrapVerifier(
  verifier: TokenVerifier,
  changes: Partial<TokenVerifier> & Pick<TokenVerifier, 'verify'>,
): TokenVerifier {
  return {
    issuer: verifier.issuer,
    profile: verifier.profile,
    clock: verifier.clock,
    acceptsOpaqueTokens: verifier.acceptsOpaqueTokens,
    allowsAnyTokenCharacters: verifier.allowsAnyTokenCharacters,
    explain: (token) => explainWith(verifier, token),
    ready: async () => verifier.ready?.(),
    health: () => verifier.health?.() ?? {},
    invalidate: async (token) => verifier.invalidate?.(token),
    close: async () => verifier.close?.(),
    ...changes,
  };
}
