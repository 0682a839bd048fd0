import { type Rule, texts } from '../options.js';

/** A signature algorithm of RFC 7518 §3.1, RFC 8037 §3.1 or RFC 9864 §2.2. `none` is not included. */
export type AsymmetricAlgorithm =
  'RS256' | 'RS384' | 'RS512' | 'PS256' | 'PS384' | 'PS512' | 'ES256' | 'ES384' | 'ES512' | 'EdDSA' | 'Ed25519';

export const ASYMMETRIC: readonly AsymmetricAlgorithm[] = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const),
];

function algorithmHint(value: unknown): string | undefined {
  const names: unknown[] = [value].flat();
  if (names.some((name) => typeof name === 'string' && name.toLowerCase() === 'none')) {
    return 'Remove "none": an unsigned token is never accepted.';
  }
  if (typeof value === 'string') return `Pass an array: [${JSON.stringify(value)}].`;
  return names.some((name) => typeof name === 'string' && /^HS\d+$/.test(name))
    ? 'HS algorithms need the option secret of jwtVerifier or jwtBearer.'
    : undefined;
}

/** The rule for an array of known algorithm names. The result has the order of `known`. */
export function algorithmsRule<T extends string>(known: readonly T[], fix: string): Rule<T[]> {
  return {
    expected: `an array of ${known.join(', ')}`,
    fix,
    hint: algorithmHint,
    parse: (value) => {
      const names = texts('', '').parse(value, '');
      const chosen = known.filter((algorithm) => names?.includes(algorithm));
      return chosen.length > 0 && chosen.length === names?.length ? chosen : undefined;
    },
  };
}
