import { IncomingMessage } from 'node:http';
import { ConfigurationError } from './errors.js';
import { millisecondsDoubt, warnOfDoubt } from './option-doubts.js';
import { fixForUnknown } from './unknown-options.js';

/**
 * What an option must be. `parse` returns the value to use (arrays and objects are copied, so that nothing can change them
 * later), or `undefined` if the value is invalid.
 */
export interface Rule<T> {
  readonly expected: string;
  readonly fix: string;
  /** A better fix for an invalid value that people often pass. */
  readonly hint?: (value: unknown) => string | undefined;
  /** Why a valid value is probably a mistake: one sentence and the fix. It causes a process warning, and is not rejected. */
  readonly doubt?: (value: unknown) => string | undefined;
  readonly parse: (value: unknown, path: string) => T | undefined;
  /** A secret is described in an error and never shown. */
  readonly secret?: true | undefined;
}

/** A rule for every option: an option without a rule is unknown. */
export type Rules<O extends object> = { readonly [K in keyof O]-?: Rule<NonNullable<O[K]>> };

/** Reads options once, strictly: an unknown name or a value of the wrong shape is a `ConfigurationError`. */
export function readOptions<O extends object>(where: string, given: unknown, rules: Rules<O>): O {
  const options = asOptionsObject(where, given);
  rejectUnknown(where, options, Object.keys(rules));
  const read: Record<string, unknown> = {};
  for (const [name, rule] of Object.entries<Rule<unknown>>(rules)) {
    // `{ realm: config.realm }` has the name, but its value may be undefined: it counts as left out.
    const value = Object.hasOwn(options, name) ? options[name] : undefined;
    if (value === undefined) continue;
    read[name] = parseValue(`${where}: ${name}`, rule, value);
  }
  return read as O;
}

/** Checks one value by its rule. */
export function parseValue<T>(option: string, rule: Rule<T>, value: unknown): T {
  const parsed = rule.parse(value, option);
  if (parsed === undefined) throw invalidOption(option, rule, value);
  reportDoubt(option, rule, value);
  return parsed;
}

export function reportDoubt(option: string, rule: Pick<Rule<unknown>, 'doubt' | 'secret'>, value: unknown): void {
  const doubt = rule.doubt?.(value);
  if (doubt !== undefined) warnOfDoubt({ option, value, got: gotOf(rule, value), doubt });
}

/** Rejects names without a rule, and suggests the option that was probably meant. */
export function rejectUnknown(where: string, given: unknown, known: readonly string[]): void {
  for (const name of Object.keys(asOptionsObject(where, given))) {
    if (known.includes(name)) continue;
    throw new ConfigurationError({
      option: `${where}: ${JSON.stringify(name.slice(0, 60))}`,
      expected: `one of ${known.join(', ')}`,
      got: 'an option of that name',
      fix: fixForUnknown(name, known),
    });
  }
}

/** The options with these names. */
export function pickOptions(where: string, given: unknown, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(asOptionsObject(where, given)).filter(([name]) => names.includes(name)));
}

/** `app.use(jwtBearer)` without the call makes Express pass a request as the options. */
export function assertNotRequest(where: string, given: unknown): void {
  if (!(given instanceof IncomingMessage)) return;
  throw new ConfigurationError({
    option: where,
    expected: 'to be called when the middleware is mounted',
    got: 'a request',
    fix: `Call it: app.use(${where}(${where.startsWith('require') ? '…' : '{ … }'})).`,
  });
}

function asOptionsObject(where: string, given: unknown): Record<string, unknown> {
  assertNotRequest(where, given);
  const isPromise = given instanceof Promise;
  if (typeof given === 'object' && given !== null && !Array.isArray(given) && !isPromise)
    return given as Record<string, unknown>;
  throw new ConfigurationError({
    option: where,
    expected: 'an object of options',
    got: describeToken(given),
    fix: isPromise ? 'Await it: it is a promise.' : 'Pass the options as one object.',
  });
}

/** The error for a value that does not follow its rule. */
export function invalidOption(option: string, rule: Omit<Rule<unknown>, 'parse'>, value: unknown): ConfigurationError {
  const got = gotOf(rule, value);
  const fix = value instanceof Promise ? 'Await it: it is a promise.' : (rule.hint?.(value) ?? rule.fix);
  return new ConfigurationError({ option, expected: rule.expected, got, fix });
}

function gotOf({ secret }: Pick<Rule<unknown>, 'secret'>, value: unknown): string {
  return secret === true ? describeSecret(value) : describe(value);
}

/** Renders a value for a developer: short, on one line, without the content of an object. */
export function describe(value: unknown): string {
  if (typeof value === 'string') {
    // The user and password of a URL are secret, also if the scheme is missing, or the password has characters that a URL
    // must not have.
    const hasUser = /[:/][^]*@/.test(value);
    const shown = hasUser ? value.replace(/^([a-z][a-z\d+.-]*:\/\/)?[^]*@/i, '$1…@') : value;
    return escapeInvisible(JSON.stringify(shown.length > 80 ? `${shown.slice(0, 80)}…` : shown));
  }
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return describeArray(value);
  if (typeof value === 'object' && value !== null) return describeObject(value);
  return String(value);
}

/** Characters that nobody sees, or that show others in another order. */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

function escapeInvisible(text: string): string {
  return text.replace(INVISIBLE, (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`);
}

function describeArray(values: readonly unknown[]): string {
  if (values.length === 0) return 'an empty array';
  // `Array.from` also visits holes, which are what people overlook.
  const items = Array.from(values.slice(0, 3), (item) => (Array.isArray(item) ? 'an array' : describe(item)));
  return `an array of ${values.length}: ${items.join(', ')}${values.length > items.length ? ', …' : ''}`;
}

function describeObject(value: object): string {
  if (value instanceof Promise) return 'a promise';
  const { constructor } = value;
  const isPlain = typeof constructor !== 'function' || constructor === Object || !/^\w{1,40}$/.test(constructor.name);
  return isPlain ? 'an object' : `an object of the class ${constructor.name}`;
}

/** The fix for the first item with a mistake: of an array, or of a value that may also be an array. */
export function firstMistake(value: unknown, mistakeOf: (item: unknown) => string | undefined): string | undefined {
  return [value]
    .flat()
    .map(mistakeOf)
    .find((fix) => fix !== undefined);
}

/** The same, for a value that is a token or a secret if it is a string. */
export function describeToken(value: unknown): string {
  return typeof value === 'string' ? describeSecret(value) : describe(value);
}

function describeSecret(value: unknown): string {
  if (value instanceof Promise) return 'a promise';
  if (typeof value === 'string') return `a string of ${Buffer.byteLength(value)} bytes`;
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  return `a value of type ${typeof value}`;
}

// The rules that several options share.

export function text(expected: string, fix: string, accepts: (value: string) => boolean = () => true): Rule<string> {
  return {
    expected,
    fix,
    parse: (value) => (typeof value === 'string' && value !== '' && accepts(value) ? value : undefined),
  };
}

export function flag(fix: string): Rule<boolean> {
  return {
    expected: 'true or false',
    fix,
    hint: (value) => (value === 'true' || value === 'false' ? `Pass ${value} without quotes.` : undefined),
    parse: (value) => (typeof value === 'boolean' ? value : undefined),
  };
}

export function seconds(least: number, most: number, fix: string): Rule<number> {
  const rule = number(`seconds from ${least} to ${most}`, least, most, fix, Number.isFinite);
  return ofSeconds(rule);
}

export function wholeSeconds(least: number, most: number, fix: string): Rule<number> {
  return ofSeconds(count('seconds', least, most, fix));
}

function ofSeconds(rule: Rule<number>): Rule<number> {
  return { ...rule, hint: (value) => rule.hint?.(value) ?? millisecondsFix(value, rule), doubt: millisecondsDoubt };
}

export function count(what: string, least: number, most: number, fix: string): Rule<number> {
  return number(`a whole number of ${what} from ${least} to ${most}`, least, most, fix, Number.isSafeInteger);
}

function millisecondsFix(value: unknown, { parse }: Rule<number>): string | undefined {
  const isMeant = typeof value === 'number' && value >= 1_000 && parse(value / 1_000, '') !== undefined;
  return isMeant ? `Durations are seconds, not milliseconds. Did you mean ${value / 1_000}?` : undefined;
}

function number(
  expected: string,
  least: number,
  most: number,
  fix: string,
  accepts: (value: number) => boolean,
): Rule<number> {
  return {
    expected,
    fix,
    hint: (value) =>
      typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value))
        ? `Pass a number: Number(${JSON.stringify(value)}). Settings of the environment are strings.`
        : undefined,
    parse: (value) =>
      typeof value === 'number' && accepts(value) && value >= least && value <= most ? value : undefined,
  };
}

export function oneOf<T extends string>(values: readonly T[], fix: string): Rule<T> {
  return {
    expected: values.map((value) => JSON.stringify(value)).join(' or '),
    fix,
    parse: (value) => values.find((known) => known === value),
  };
}

/** An array of one or more non-empty strings, each of which `accepts` accepts. */
export function texts(expected: string, fix: string, accepts: (value: string) => boolean = () => true): Rule<string[]> {
  return {
    expected,
    fix,
    parse: (value) => {
      if (!Array.isArray(value) || value.length === 0) return undefined;
      const items: unknown[] = value;
      const strings = items.filter((item): item is string => typeof item === 'string' && item !== '' && accepts(item));
      return strings.length === items.length ? [...new Set(strings)] : undefined;
    },
  };
}

/** A secret for MACs with SHA-256: at least as many bytes as the hash (RFC 7518 §3.2). */
export const secretRule: Rule<string | Uint8Array> = {
  expected: 'a string or a Uint8Array of at least 32 bytes',
  fix: 'Create one with crypto.randomBytes(32).',
  secret: true,
  parse: (value) => {
    if (typeof value === 'string') return Buffer.byteLength(value) < 32 ? undefined : value;
    return value instanceof Uint8Array && value.byteLength >= 32 ? Uint8Array.from(value) : undefined;
  },
};

/** A function; its result is checked where it is called. */
export function callable<F extends (...args: never[]) => unknown>(expected: string, fix: string): Rule<F> {
  return { expected, fix, parse: (value) => (typeof value === 'function' ? (value as F) : undefined) };
}

/** Each clock with its checks is created once, so that options with the same clock can be recognized. */
const checkedClocks = new WeakMap<object, () => number>();

/** A clock that returns no number would make every comparison with it false, and no token would ever expire. */
export const clockRule: Rule<() => number> = {
  expected: 'a function that returns seconds since the epoch, synchronously',
  fix: 'Leave it out for the system clock.',
  hint: (value) => (isInMilliseconds(value) ? 'It returns milliseconds. Pass () => Date.now() / 1000.' : undefined),
  parse: (value) => {
    if (typeof value !== 'function' || isInMilliseconds(value)) return undefined;
    if (!Number.isFinite((value as () => unknown)())) return undefined;
    const clock = checkedClocks.get(value) ?? checkedClock(value as () => unknown);
    checkedClocks.set(value, clock);
    return clock;
  },
};

/** With such a clock, every token has expired. */
const LATEST_TIME = 100_000_000_000;

function isInMilliseconds(clock: unknown): boolean {
  if (typeof clock !== 'function') return false;
  const now: unknown = (clock as () => unknown)();
  return typeof now === 'number' && Number.isFinite(now) && now > LATEST_TIME;
}

function checkedClock(clock: () => unknown): () => number {
  return () => {
    const now = clock();
    if (typeof now === 'number' && Number.isFinite(now)) return now;
    throw invalidOption('clock', clockRule, now);
  };
}

/** Options within an option. */
export function group<O extends object>(rules: Rules<O>): Rule<O> {
  return {
    expected: `an object with ${Object.keys(rules).join(', ')}`,
    fix: 'Pass an object.',
    parse: (value, path) => readOptions<O>(path, value, rules),
  };
}
