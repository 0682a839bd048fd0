import { ConfigurationError } from '../errors.js';
import { flag, type Rule, type Rules, seconds, secretRule, wholeSeconds } from '../options.js';
import { type Store, storeRule } from '../store/store.js';
import { algorithmsRule, ASYMMETRIC, type AsymmetricAlgorithm } from '../token/algorithms.js';
import { secretDoubt } from '../util/doubt.js';
import { modeOr, modeRule, type ProofMode } from './mode.js';

/** How DPoP proofs (RFC 9449) are verified. */
export interface DpopOptions {
  mode: ProofMode;
  /** The accepted values of `alg` in proofs. @default every `AsymmetricAlgorithm`; those of FAPI with `profile: 'fapi2'` */
  algorithms?: readonly AsymmetricAlgorithm[] | undefined;
  /** How old a proof may be, by its `iat`. Seconds, 1 to 3,600. @default 60 */
  maxAge?: number | undefined;
  /** How far the client's clock may be ahead. Seconds, 0 to 300. @default 10 */
  clockTolerance?: number | undefined;
  /** Requires a nonce of this server in every proof (RFC 9449 §9). @default false */
  nonce?: boolean | undefined;
  /** How long a nonce is accepted; the client receives a new one after half of it. Seconds, 10 to 3,600. @default 300 */
  nonceMaxAge?: number | undefined;
  /**
   * The key of the nonces: at least 32 bytes, the same in all processes of this API. Only with `nonce`.
   * @default random, for this process only
   */
  secret?: string | Uint8Array | undefined;
  /**
   * Where used proofs are recorded, for replay detection. While the store is unavailable, requests with proofs receive 503.
   * @default a `memoryStore` of 1,000,000 entries, for this process only
   */
  store?: Store | undefined;
}

const rules: Rules<DpopOptions> = {
  mode: modeRule,
  algorithms: algorithmsRule(ASYMMETRIC, 'Name the algorithms that clients sign proofs with, or leave it out.'),
  maxAge: seconds(1, 3_600, 'Leave it out for 60.'),
  clockTolerance: seconds(0, 300, 'Leave it out for 10.'),
  // People may pass the secret here by mistake, so the value is not shown.
  nonce: { ...flag('Set it to true to require nonces.'), secret: true },
  nonceMaxAge: wholeSeconds(10, 3_600, 'Leave it out for 300.'),
  secret: { ...secretRule, doubt: secretDoubt },
  store: storeRule,
};

const modeOrOptions = modeOr(
  rules,
  "Use 'allowed' to accept bearer tokens and DPoP-bound tokens, 'required' to accept only DPoP-bound tokens.",
);

export const dpopRule: Rule<ProofMode | DpopOptions> = {
  ...modeOrOptions,
  parse: (value, path) => {
    const parsed = modeOrOptions.parse(value, path);
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
