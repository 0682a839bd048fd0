import { ConfigurationError } from './errors.js';

/**
 * What an option must be. `parse` gives the value to keep (arrays and objects are copied, so that nobody changes them
 * later) or `undefined` where the given one will not do.
 */
export interface Rule<T> {
  readonly expected: string;
  readonly fix: string;
  readonly parse: (value: unknown, path: string) => T | undefined;
  /** A secret is described in an error and never shown. */
  readonly secret?: true;
}

/** A rule for every option that exists: an option without a rule is an unknown one. */
export type Rules<O extends object> = { readonly [K in keyof O]-?: Rule<NonNullable<O[K]>> };

/** Reads options once, strictly: an unknown name or a value of the wrong shape is a `ConfigurationError`. */
export function readOptions<O extends object>(where: string, given: unknown, rules: Rules<O>): O {
  const options = asOptionsObject(where, given);
  rejectUnknown(where, options, Object.keys(rules));
  const read: Record<string, unknown> = {};
  for (const [name, rule] of Object.entries<Rule<unknown>>(rules)) {
    // A name that is spelled out and undefined is what `{ realm: config.realm }` gives: left out.
    const value = Object.hasOwn(options, name) ? options[name] : undefined;
    if (value === undefined) continue;
    const parsed = rule.parse(value, `${where}: ${name}`);
    if (parsed === undefined) throw invalidOption(`${where}: ${name}`, rule, value);
    read[name] = parsed;
  }
  return read as O;
}

/** Says no to names that no rule knows, with the nearest known one. */
export function rejectUnknown(where: string, given: unknown, known: readonly string[]): void {
  for (const name of Object.keys(asOptionsObject(where, given))) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    throw new ConfigurationError({
      option: `${where}: ${JSON.stringify(name.slice(0, 60))}`,
      expected: `one of ${known.join(', ')}`,
      got: 'an option of that name',
      fix: near === undefined ? 'Remove it.' : `Did you mean ${near}?`,
    });
  }
}

/** The options of those names: a middleware's own, or those of its verifier. */
export function pickOptions(where: string, given: unknown, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(asOptionsObject(where, given)).filter(([name]) => names.includes(name)));
}

function asOptionsObject(where: string, given: unknown): Record<string, unknown> {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return given as Record<string, unknown>;
  throw new ConfigurationError({
    option: where,
    expected: 'an object of options',
    got: describe(given),
    fix: 'Pass the options as one object.',
  });
}

/** The error for a value that does not fit its rule. */
export function invalidOption(option: string, rule: Omit<Rule<unknown>, 'parse'>, value: unknown): ConfigurationError {
  const got = rule.secret === true ? describeSecret(value) : describe(value);
  return new ConfigurationError({ option, expected: rule.expected, got, fix: rule.fix });
}

/** Renders a value for a developer: short, on one line, never the inside of an object. */
export function describe(value: unknown): string {
  if (typeof value === 'string') {
    // The user and password of a URL are a secret.
    const shown = value.replace(/:\/\/[^/?#]*@/g, '://…@');
    return JSON.stringify(shown.length > 80 ? `${shown.slice(0, 80)}…` : shown);
  }
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}

function describeSecret(value: unknown): string {
  if (typeof value === 'string') return `a string of ${Buffer.byteLength(value)} bytes`;
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  return `a value of type ${typeof value}`;
}

function nearest(name: string, known: readonly string[]): string | undefined {
  const limit = Math.max(2, Math.floor(name.length / 3));
  let best: string | undefined;
  let least = limit + 1;
  for (const candidate of known) {
    const steps = editDistance(name.slice(0, 60).toLowerCase(), candidate.toLowerCase());
    if (steps < least) [best, least] = [candidate, steps];
  }
  return best;
}

function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const current = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
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
  return { expected: 'true or false', fix, parse: (value) => (typeof value === 'boolean' ? value : undefined) };
}

export function seconds(least: number, most: number, fix: string): Rule<number> {
  return number(`seconds from ${least} to ${most}`, least, most, fix, Number.isFinite);
}

export function count(what: string, least: number, most: number, fix: string): Rule<number> {
  return number(`a whole number of ${what} from ${least} to ${most}`, least, most, fix, Number.isSafeInteger);
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

/** An array of at least one non-empty string, each of them accepted. */
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
  fix: 'Make one with crypto.randomBytes(32).',
  secret: true,
  parse: (value) => {
    if (typeof value === 'string') return Buffer.byteLength(value) < 32 ? undefined : value;
    return value instanceof Uint8Array && value.byteLength >= 32 ? Uint8Array.from(value) : undefined;
  },
};

/** A clock that returns anything but a number would make every comparison of times false, so each value is checked. */
export const clockRule: Rule<() => number> = {
  expected: 'a function that returns seconds since the epoch',
  fix: 'Leave it out for the system clock.',
  parse: (value) => {
    if (typeof value !== 'function') return undefined;
    const clock = (): number => {
      const now: unknown = (value as () => unknown)();
      if (typeof now === 'number' && Number.isFinite(now)) return now;
      throw invalidOption('clock', clockRule, now);
    };
    return Number.isFinite((value as () => unknown)()) ? clock : undefined;
  },
};

/** A function; what it gives back is checked where it is called. */
export function callable<F extends (...args: never[]) => unknown>(expected: string, fix: string): Rule<F> {
  return { expected, fix, parse: (value) => (typeof value === 'function' ? (value as F) : undefined) };
}

/** Options within an option. */
export function group<O extends object>(rules: Rules<O>): Rule<O> {
  return {
    expected: `an object with ${Object.keys(rules).join(', ')}`,
    fix: 'Pass an object.',
    parse: (value, path) => readOptions<O>(path, value, rules),
  };
}
