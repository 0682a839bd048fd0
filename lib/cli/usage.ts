import { parseArgs, type ParseArgsConfig } from 'node:util';
import { ConfigurationError } from '../errors.js';
import { nearest } from '../unknown-options.js';

/** The command was called in a wrong way: exit status 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

type OptionsConfig = NonNullable<ParseArgsConfig['options']>;

interface Config<T extends OptionsConfig> extends ParseArgsConfig {
  args: string[];
  options: T;
  strict: true;
  allowPositionals: true;
}

export type Values<T extends OptionsConfig> = ReturnType<typeof parseArgs<Config<T>>>['values'];

/** Options that people expect, but that would show a secret in a process list. */
const SECRETS: Readonly<Record<string, string>> = {
  token: 'Pass the token on standard input, because process lists show arguments.',
  'client-secret':
    'Pass the secret on standard input with --client-secret-stdin, because process lists show arguments.',
};

/**
 * Reads the options of a command.
 *
 * @throws UsageError for an option that is unknown or has no value, and for an argument that is not an option. The message
 * does not contain the argument, which may be a token.
 */
export function parseOptions<T extends OptionsConfig>(args: string[], options: T, positional: string): Values<T> {
  for (const arg of args) {
    const name = /^--([\w-]+)/.exec(arg)?.[1] ?? '';
    if (!Object.hasOwn(options, name) && Object.hasOwn(SECRETS, name)) throw new UsageError(SECRETS[name] ?? '');
  }
  const config: Config<T> = { args, options, strict: true, allowPositionals: true };
  const { values, positionals } = parse(config);
  if (positionals.length > 0) throw new UsageError(positional);
  return values;
}

function parse<T extends OptionsConfig>(config: Config<T>): ReturnType<typeof parseArgs<Config<T>>> {
  try {
    return parseArgs<Config<T>>(config);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const [sentence = ''] = message.split(/(?<=['"])\. |\n/);
    const unknown = /^Unknown option '--([\w-]+)'/.exec(sentence)?.[1];
    const meant = unknown === undefined ? undefined : nearest(unknown, Object.keys(config.options));
    const text = sentence.length > 100 ? 'There is an unknown option.' : sentence;
    throw new UsageError(meant === undefined ? text : `${text}. Did you mean --${meant}?`);
  }
}

/** The value of an option that a command needs. */
export function required(value: string | undefined, option: string, what: string): string {
  if (value === undefined || value === '') throw new UsageError(`Pass --${option}, ${what}.`);
  return value;
}

/** A mistake in the options of the package is a mistake in the options of the command. */
export function asUsage<T>(create: () => T): T {
  try {
    return create();
  } catch (error) {
    throw error instanceof ConfigurationError ? new UsageError(error.message) : error;
  }
}
