import { group, oneOf, type Rule, type Rules } from '../options.js';
import { isPlainObject } from '../util/is-plain-object.js';

/**
 * Which tokens are accepted. `'off'`: no such proof is accepted, and a token that needs one is rejected. `'allowed'`: a
 * bound token needs the proof; other tokens are accepted without. `'required'`: every token must be bound and proven.
 */
export type ProofMode = 'off' | 'allowed' | 'required';

export const modeRule = oneOf<ProofMode>(['off', 'allowed', 'required'], 'Choose one of them.');

/** A rule for a mode, or for options that contain one. */
export function modeOr<O extends { mode: ProofMode }>(rules: Rules<O>, fix: string): Rule<ProofMode | O> {
  const detailed = group(rules);
  return {
    expected: `${modeRule.expected}, or ${detailed.expected}`,
    fix,
    parse: (value, path) => {
      if (typeof value === 'string') return modeRule.parse(value, path);
      if (!isPlainObject(value)) return undefined;
      const options = detailed.parse(value, path);
      return options?.mode === undefined ? undefined : options;
    },
  };
}
