import { IncomingMessage } from 'node:http';
import { ConfigurationError } from './errors.js';

/**
 * What an option must be. `parse` returns the value to use (arrays and objects are copied, so that nothing can change them
 * later), or `undefined` if the value is invalid.
 */
export interface Rule<T> {
  readonly expected: string;
  readonly fix: string;
  /** A better fix for an invalid value that people often pass. */
  readonly hint?: (value: unknown) => string | undefined;
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
    const parsed = rule.parse(value, `${where}: ${name}`);
    if (parsed === undefined) throw invalidOption(`${where}: ${name}`, rule, value);
    read[name] = parsed;
  }
  return read as O;
}

/**
 * Options of similar packages, and the option here. People who change to this package pass them first.
 */
const FOREIGN_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  issuer: ['issuerBaseURL', 'issuerBaseUrl', 'iss', 'issuerUrl', 'issuerURL', 'authority', 'domain', 'authServerUrl'],
  audience: ['aud', 'clientID', 'resource', 'audiences', 'expectedAudience'],
  jwksUri: ['jwksURI', 'jwksUrl', 'jwks_uri', 'jwksURL', 'keysUri', 'secretProvider'],
  publicKey: ['secretOrKey', 'secretOrPublicKey', 'key', 'pem', 'secretOrKeyProvider'],
  secret: ['secretOrKey', 'clientSecretKey', 'hmacSecret'],
  algorithms: ['algorithm', 'tokenSigningAlg', 'alg', 'allowedAlgorithms', 'validAlgorithms'],
  clockTolerance: ['leeway', 'clockSkew', 'clock_skew', 'gracePeriod'],
  maxTokenAge: ['maxAge', 'tokenMaxAge'],
  'keys: { cooldown }': ['jwksRequestsPerMinute', 'rateLimit', 'cooldownDuration', 'cooldownSeconds'],
  'keys: { refreshInterval }': ['cacheMaxAge', 'jwksCacheMaxAge', 'cacheMaxEntries', 'jwksCache'],
  'keys: { timeout }': ['timeoutDuration', 'requestTimeout', 'httpTimeout'],
  timeout: ['timeoutDuration', 'requestTimeout', 'httpTimeout'],
  optional: ['authRequired', 'credentialsRequired', 'required', 'anonymous'],
  property: ['requestProperty', 'userProperty', 'assignProperty'],
  tokenFrom: ['getToken', 'jwtFromRequest', 'fromExtractors', 'extractor'],
  "profile: 'rfc9068'": ['strict', 'tokenType', 'typ'],
  requiredClaims: ['validators', 'claimsToAssert', 'requiredClaim'],
  clientId: ['client_id', 'clientID'],
  clientSecret: ['client_secret'],
  introspectionEndpoint: ['introspectionUrl', 'introspectionURL', 'introspection_endpoint', 'introspectionUri'],
  fetch: ['requestAgent', 'agent', 'fetcher', 'httpAgent', 'requestHeaders'],
};

/** Options of similar packages that have no counterpart, and what to use. */
const WITHOUT_COUNTERPART: Readonly<Record<string, string>> = {
  ignoreExpiration: 'Remove it: expired tokens are always rejected.',
  isRevoked: 'Remove it, and use introspectionBearer or requireThat for revocation.',
  passReqToCallback: 'Remove it, and read getAuth(req) in the handler.',
  enableRequestOptions: 'Remove it.',
  discovery: 'Remove it: the keys are found through the issuer unless jwksUri, jwks, publicKey or secret is passed.',
  scope: 'Remove it, and mount requireScopes(...) on the routes.',
  scopes: 'Remove it, and mount requireScopes(...) on the routes.',
  requiredScopes: 'Remove it, and mount requireScopes(...) on the routes.',
};

function counterpart(name: string, known: readonly string[]): string | undefined {
  const entry = Object.entries(FOREIGN_OPTIONS).find(([ours, theirs]) => {
    const option = /^\w+/.exec(ours)?.[0] ?? ours;
    return theirs.includes(name) && known.includes(option);
  });
  return entry?.[0];
}

/** Rejects names without a rule, and suggests the option that was probably meant. */
export function rejectUnknown(where: string, given: unknown, known: readonly string[]): void {
  for (const name of Object.keys(asOptionsObject(where, given))) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    const meant = counterpart(name, known) ?? near;
    const advice = Object.hasOwn(WITHOUT_COUNTERPART, name) ? WITHOUT_COUNTERPART[name] : undefined;
    const fix = meant === undefined ? (advice ?? 'Remove it.') : `Did you mean ${meant}?`;
    throw new ConfigurationError({
      option: `${where}: ${JSON.stringify(name.slice(0, 60))}`,
      expected: `one of ${known.join(', ')}`,
      got: 'an option of that name',
      fix,
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
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return given as Record<string, unknown>;
  throw new ConfigurationError({
    option: where,
    expected: 'an object of options',
    got: describeToken(given),
    fix: 'Pass the options as one object.',
  });
}

/** The error for a value that does not follow its rule. */
export function invalidOption(option: string, rule: Omit<Rule<unknown>, 'parse'>, value: unknown): ConfigurationError {
  const got = rule.secret === true ? describeSecret(value) : describe(value);
  return new ConfigurationError({ option, expected: rule.expected, got, fix: rule.hint?.(value) ?? rule.fix });
}

/** Renders a value for a developer: short, on one line, without the content of an object. */
export function describe(value: unknown): string {
  if (typeof value === 'string') {
    // The user and password of a URL are secret, also if the scheme is missing, or the password has characters that a URL
    // must not have.
    const hasUser = /[:/][^]*@/.test(value);
    const shown = hasUser ? value.replace(/^([a-z][a-z\d+.-]*:\/\/)?[^]*@/i, '$1…@') : value;
    return JSON.stringify(shown.length > 80 ? `${shown.slice(0, 80)}…` : shown);
  }
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}

/** The same, for a value that is a token or a secret if it is a string. */
export function describeToken(value: unknown): string {
  return typeof value === 'string' ? describeSecret(value) : describe(value);
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
  parse: (value) => {
    if (typeof value !== 'function') return undefined;
    if (!Number.isFinite((value as () => unknown)())) return undefined;
    const clock = checkedClocks.get(value) ?? checkedClock(value as () => unknown);
    checkedClocks.set(value, clock);
    return clock;
  },
};

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
