import { ConfigurationError } from '../errors.js';
import { count, flag, type Rule, type Rules, seconds, secretRule } from '../options.js';
import { type Store, storeRule } from '../store/store.js';
import { algorithmsRule, ASYMMETRIC, type AsymmetricAlgorithm } from '../token/algorithms.js';
import { modeOr, modeRule, type ProofMode } from './mode.js';

/** How DPoP proofs (RFC 9449) are checked. */
export interface DpopOptions {
  mode: ProofMode;
  /** The accepted values of `alg` in proofs. @default every `AsymmetricAlgorithm`; with `profile: 'fapi2'` those of FAPI */
  algorithms?: readonly AsymmetricAlgorithm[] | undefined;
  /** How long ago (`iat`) a proof may have been made. Seconds, 1 to 3,600. @default 60 */
  maxAge?: number | undefined;
  /** How far ahead of ours the client's clock may be. Seconds, 0 to 300. @default 5 */
  clockTolerance?: number | undefined;
  /** Ask for a nonce of this server's in every proof (RFC 9449 §9). @default false */
  nonce?: boolean | undefined;
  /** How long a nonce is accepted; a client is given a new one when half of that is over. Seconds, 10 to 3,600. @default 300 */
  nonceMaxAge?: number | undefined;
  /**
   * What nonces are made with: at least 32 bytes, the same in all processes that serve this API. Only with `nonce`.
   * @default random, of this process alone
   */
  secret?: string | Uint8Array | undefined;
  /**
   * Where it is remembered which proofs have been used. While it cannot be had, requests with proofs are answered 503.
   * @default a `memoryStore` of 1,000,000 entries, of this process alone
   */
  store?: Store | undefined;
}

const rules: Rules<DpopOptions> = {
  mode: modeRule,
  algorithms: algorithmsRule(ASYMMETRIC, 'Name the algorithms that clients sign proofs with, or leave it out.'),
  maxAge: seconds(1, 3_600, 'Leave it out for 60.'),
  clockTolerance: seconds(0, 300, 'Leave it out for 5.'),
  // The secret may be taken to belong here.
  nonce: { ...flag('Set it to true to ask for nonces.'), secret: true },
  nonceMaxAge: count('seconds', 10, 3_600, 'Leave it out for 300.'),
  secret: secretRule,
  store: storeRule,
};

const either = modeOr(
  rules,
  "Use 'allowed' to take bearer tokens and DPoP-bound ones, 'required' for the latter alone.",
);

export const dpopRule: Rule<ProofMode | DpopOptions> = {
  ...either,
  parse: (value, path) => {
    const parsed = either.parse(value, path);
    if (typeof parsed !== 'object' || parsed.nonce === true) return parsed;
    for (const name of ['secret', 'nonceMaxAge'] as const) {
      if (parsed[name] !== undefined) throw needsNonce(`${path}: ${name}`);
    }
    return parsed;
  },
};

function needsNonce(option: string): ConfigurationError {
  return new ConfigurationError({
    option,
    expected: 'nothing, because nonce is not true',
    got: 'a value',
    fix: 'Set nonce: true, or remove it.',
  });
}
