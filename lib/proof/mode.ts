import { group, oneOf, type Rule, type Rules } from '../options.js';
import { isPlainObject } from '../util/is-plain-object.js';

/**
 * What is asked of the tokens. `'off'`: no such proof is taken, and a token that needs one is refused. `'allowed'`: a
 * token that is bound needs the proof, others pass without. `'required'`: every token must be bound and proven.
 */
export type ProofMode = 'off' | 'allowed' | 'required';

export const modeRule = oneOf<ProofMode>(['off', 'allowed', 'required'], 'Say which of them.');

/** The mode by itself, or an object that has it beside other options. */
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
