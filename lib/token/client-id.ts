import { type Rule, text } from '../options.js';
import { listDoubt, placeholderDoubt } from '../util/doubt.js';
import { settingMistake } from '../util/setting.js';

/** A client id. Files that hold settings often end in a line break, and no client has such an id. */
export function clientIdText(expected: string, fix: string): Rule<string> {
  return {
    ...text(expected, fix, (value) => value.trim() === '' || settingMistake(value) === undefined),
    hint: settingMistake,
    doubt: clientIdDoubt,
  };
}

/** The doubt about a client id, which may contain spaces and commas. */
export function clientIdDoubt(value: unknown): string | undefined {
  return listDoubt(value, 'Pass each client id as a text of its own.') ?? placeholderDoubt(value);
}
