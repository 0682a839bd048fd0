import { type Rule, text } from '../options.js';
import { hasSpaceAround, SPACE_FIX } from '../util/white-space.js';

/** A client id. Files that hold settings often end in a line break, and no client has such an id. */
export function clientIdText(expected: string, fix: string): Rule<string> {
  return {
    ...text(expected, fix, (value) => value.trim() === '' || !hasSpaceAround(value)),
    hint: (value) => (hasSpaceAround(value) ? SPACE_FIX : undefined),
  };
}
