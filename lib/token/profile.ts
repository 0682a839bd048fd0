import { ConfigurationError } from '../errors.js';
import { describe } from '../options.js';
import type { AsymmetricAlgorithm } from './algorithms.js';

/**
 * A set of rules under one name. `'rfc9068'`: JWT access tokens must follow RFC 9068 exactly. `'fapi2'`: the requirements
 * of the FAPI 2.0 Security Profile (§5.3.4, §5.4) for resource servers; includes `'rfc9068'` for JWTs.
 */
export type Profile = 'rfc9068' | 'fapi2';

/** The rules of a profile. Every part that depends on the profile reads them from here. */
export interface ProfileRules {
  /** The header's `typ` must be `at+jwt`, and these claims must be present (RFC 9068 §2.1, §2.2). JWTs only. */
  readonly requiresAtJwt: boolean;
  readonly requiredClaims: readonly string[];
  /** The token must be sender-constrained; `dpop` and `mtls` are `'allowed'` by default (FAPI 2.0 §5.3.4). */
  readonly requiresBinding: boolean;
  /**
   * The algorithms of tokens, proofs, signed responses and client assertions (FAPI 2.0 §5.4.1); `undefined` for any that
   * this package supports.
   */
  readonly algorithms: readonly AsymmetricAlgorithm[] | undefined;
  /** Options that contradict the profile. */
  readonly rejectedOptions: Readonly<Record<string, RejectedOption>>;
}

interface RejectedOption {
  readonly isRejected: (value: unknown) => boolean;
  readonly expected: string;
  readonly fix: string;
}

const ANY: ProfileRules = {
  requiresAtJwt: false,
  requiredClaims: [],
  requiresBinding: false,
  algorithms: undefined,
  rejectedOptions: {},
};

const RFC9068: ProfileRules = {
  ...ANY,
  requiresAtJwt: true,
  requiredClaims: ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti'],
};

const FAPI2: ProfileRules = {
  ...RFC9068,
  requiresBinding: true,
  // EdDSA means only Ed25519 in this package.
  algorithms: ['PS256', 'ES256', 'EdDSA', 'Ed25519'],
  rejectedOptions: {
    // FAPI 2.0 §5.2: TLS between all parties.
    allowInsecureHttp: {
      isRejected: (value) => value === true,
      expected: 'false or nothing',
      fix: 'Use https:, or remove the profile.',
    },
    // FAPI 2.0 §5.4.1 allows only asymmetric algorithms.
    secret: { isRejected: isPresent, expected: 'nothing', fix: 'Use the public keys of the issuer.' },
    audience: {
      isRejected: (value) => value === false,
      expected: 'the identifiers of this API',
      fix: 'Pass the identifier of this API at its issuer.',
    },
    // FAPI 2.0 §5.3.4: tokens in the Authorization header, not in a query parameter.
    tokenFrom: {
      isRejected: isPresent,
      expected: 'nothing, so that tokens are accepted only in the Authorization header',
      fix: 'Remove it.',
    },
  },
};

const PROFILES: Readonly<Record<Profile, ProfileRules>> = { rfc9068: RFC9068, fapi2: FAPI2 };

/** @throws ConfigurationError for an unknown profile, which only an own verifier can have. */
export function rulesOf(profile: Profile | undefined): ProfileRules {
  if (profile === undefined) return ANY;
  if (Object.hasOwn(PROFILES, profile)) return PROFILES[profile];
  throw new ConfigurationError({
    option: 'profile',
    expected: Object.keys(PROFILES).join(' or '),
    got: describe(profile),
    fix: 'Correct or remove the profile of the verifier.',
  });
}

/**
 * Checks the options of a verifier or a middleware against its profile.
 *
 * @throws ConfigurationError
 */
export function checkProfileOptions(where: string, profile: Profile | undefined, options: object): void {
  const { rejectedOptions } = rulesOf(profile);
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rejectedOptions, name) ? rejectedOptions[name] : undefined;
    if (rule?.isRejected(value) !== true) continue;
    const { expected, fix } = rule;
    // The value may be a secret, so only booleans and functions are shown.
    const got = typeof value === 'string' || typeof value === 'object' ? 'a value' : describe(value);
    const because = `because the profile is ${String(profile)}`;
    throw new ConfigurationError({ option: `${where}: ${name}`, expected: `${expected}, ${because}`, got, fix });
  }
}

/**
 * The algorithms to accept: the chosen ones, or all that are possible, as far as the profile allows them.
 *
 * @throws ConfigurationError if the profile does not allow a chosen algorithm.
 */
export function algorithmsOf<T extends string>(
  option: string,
  chosen: readonly T[] | undefined,
  possible: readonly T[],
  profile: Profile | undefined,
): readonly T[] {
  const { algorithms } = rulesOf(profile);
  if (algorithms === undefined) return chosen ?? possible;
  const isAllowed = (algorithm: string): boolean => algorithms.some((allowed) => allowed === algorithm);
  const others = chosen?.filter((algorithm) => !isAllowed(algorithm)) ?? [];
  if (others.length === 0) return (chosen ?? possible).filter(isAllowed);
  throw new ConfigurationError({
    option,
    expected: `some of ${algorithms.join(', ')}, because the profile is ${String(profile)}`,
    got: others.join(', '),
    fix: 'Remove the other algorithms.',
  });
}

function isPresent(value: unknown): boolean {
  return value !== undefined;
}
