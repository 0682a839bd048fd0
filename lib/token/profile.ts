import { ConfigurationError } from '../errors.js';
import type { AsymmetricAlgorithm } from './algorithms.js';

/**
 * A set of rules under one name. `'rfc9068'`: JWT access tokens to the letter. `'fapi2'`: what the FAPI 2.0 Security
 * Profile (§5.3.4, §5.4) asks of resource servers; that includes `'rfc9068'`.
 */
export type Profile = 'rfc9068' | 'fapi2';

/** FAPI 2.0 Security Profile §5.4.1. EdDSA serves Ed25519 alone everywhere in this package. */
const FAPI2_ALGORITHMS: readonly AsymmetricAlgorithm[] = ['PS256', 'ES256', 'EdDSA', 'Ed25519'];

/** What is left of an option: the algorithms that were chosen, all of which the profile must know, or all that it knows. */
export function algorithmsOf<T extends string>(
  option: string,
  chosen: readonly T[] | undefined,
  known: readonly T[],
  profile: Profile | undefined,
): readonly T[] {
  if (profile !== 'fapi2') return chosen ?? known;
  const isAllowed = (algorithm: string): boolean => FAPI2_ALGORITHMS.some((each) => each === algorithm);
  const strange = chosen?.filter((algorithm) => !isAllowed(algorithm)) ?? [];
  if (strange.length === 0) return (chosen ?? known).filter(isAllowed);
  throw new ConfigurationError({
    option,
    expected: `some of ${FAPI2_ALGORITHMS.join(', ')}, because the profile is fapi2`,
    got: strange.join(', '),
    fix: 'Use those alone.',
  });
}
