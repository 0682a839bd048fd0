import { type Rule, text } from '../options.js';
import { settingMistake } from '../util/setting.js';

/** A client id. Files that hold settings often end in a line break, and no client has such an id. */
export function clientIdText(expected: string, fix: string): Rule<string> {
  return {
    ...text(expected, fix, (value) => value.trim() === '' || settingMistake(value) === undefined),
    hint: settingMistake,
  };
}
