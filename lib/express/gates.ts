import type { Request } from 'express';
import { makeFailedCheck, InsufficientScopeError } from '../errors.js';
import {
  assertNotRequest,
  callable,
  firstMistake,
  parseValue,
  readOptions,
  type Rule,
  type Rules,
  text,
  texts,
} from '../options.js';
import type { Auth } from '../token/access-token.js';
import { rawClaim } from '../token/claims.js';
import { claimNameDoubt, listDoubt } from '../util/doubt.js';
import { settingMistake } from '../util/setting.js';
import { gate, isGate, type Predicate } from './gate.js';
import type { Middleware } from './middleware.js';
import type { RespondSettings } from './respond.js';
import type { ScopeHierarchy } from './scope-hierarchy.js';
import { isScope, scopeDoubt } from '../token/scope.js';

/** A value that a claim can be compared with. */
export type ClaimValue = string | number | boolean | null;

/** Options of `requireThat`. */
export interface RequireThatOptions {
  /** `scope=` of the challenge, if more scopes would help. @default none */
  scopes?: readonly string[] | undefined;
}

/** Makes a string with a space a compile error: it is several scopes. */
export type SingleScope<S extends string> = S & (S extends `${string} ${string}` ? never : S);

const scopesRule: Rule<string[]> = {
  ...texts(
    'at least one scope, each a string without spaces and quotes',
    'Pass scopes as separate arguments.',
    (scope) => isScope(scope) && settingMistake(scope) === undefined,
  ),
  hint: (value) => {
    const scopes: unknown[] = Array.isArray(value) ? value : [];
    if (scopes.some((scope) => Array.isArray(scope)))
      return 'Pass scopes as separate arguments: requireScopes(...scopes).';
    const mistake = firstMistake(scopes, settingMistake);
    const isList = scopes.some((scope) => typeof scope === 'string' && /[ ,]/.test(scope));
    return mistake ?? (isList ? 'Pass one scope per argument.' : undefined);
  },
  doubt: (value) => firstMistake(value, scopeDoubt),
};
// A comma is allowed in a scope, but 'a,b' is nearly always a list.
const scopeArgumentsRule: Rule<string[]> = {
  ...scopesRule,
  parse: (value, path) => {
    const scopes = scopesRule.parse(value, path);
    return scopes?.some((scope) => /^[\w:./-]+,[\w:./-]+/.test(scope)) === true ? undefined : scopes;
  },
};
const nameRule: Rule<string> = {
  ...text('the name of a claim', 'Pass it as the first argument.'),
  doubt: claimNameDoubt,
};
const GATE_FIX = 'A gate is a middleware of its own: mount it beside this one.';
const predicateOf = callable<Predicate<[Auth, Request]>>(
  'a function of (auth, req)',
  'Return true to allow the request.',
);
const predicateRule: Rule<Predicate<[Auth, Request]>> = {
  ...predicateOf,
  hint: (value) => (isGate(value) ? GATE_FIX : undefined),
  parse: (value, path) => (isGate(value) ? undefined : predicateOf.parse(value, path)),
};
const noArgumentsRule: Rule<unknown[]> = {
  expected: 'no arguments',
  fix: 'Call it without arguments.',
  parse: (value) => (Array.isArray(value) && value.every((item) => item === undefined) ? value : undefined),
};
const requireThatRules: Rules<RequireThatOptions> = { scopes: scopesRule };

/**
 * Requires all of these scopes; a scope that includes another by `scopeHierarchy` of the middleware is sufficient for it.
 * For an array: `requireScopes(...(scopes as [string, ...string[]]))`.
 *
 * @throws ConfigurationError without a scope, or for an argument that is not one scope (RFC 6749 §3.3).
 */
export function requireScopes<S extends string, M extends string>(
  scope: SingleScope<S>,
  ...more: SingleScope<M>[]
): Middleware {
  return scopeGate('requireScopes', [scope, ...more], {
    isMet: (needed, isGranted) => needed.every(isGranted),
    narrowest: (hierarchy, needed) => hierarchy.narrowestOfAll(needed),
  });
}

/**
 * Requires at least one of these scopes, or one that includes it by `scopeHierarchy` of the middleware.
 *
 * @throws ConfigurationError without a scope, or for an argument that is not one scope (RFC 6749 §3.3).
 */
export function requireAnyScope<S extends string, M extends string>(
  scope: SingleScope<S>,
  ...more: SingleScope<M>[]
): Middleware {
  return scopeGate('requireAnyScope', [scope, ...more], {
    isMet: (needed, isGranted) => needed.some(isGranted),
    narrowest: (hierarchy, needed) => hierarchy.narrowestOfAny(needed),
  });
}

/** How the scopes of a gate belong together. */
interface ScopeRule {
  readonly isMet: (needed: readonly string[], isGranted: (scope: string) => boolean) => boolean;
  readonly narrowest: (hierarchy: ScopeHierarchy, needed: readonly string[]) => readonly string[];
}

/** The challenge names the sufficient scopes; the failed check says what was required and found. */
function scopeGate(where: string, scopes: readonly unknown[], { isMet, narrowest }: ScopeRule): Middleware {
  const needed = parseScopes(where, scopes);
  const sufficient = ({ scopeHierarchy }: RespondSettings): readonly string[] =>
    scopeHierarchy === undefined ? needed : narrowest(scopeHierarchy, needed);
  return gate(
    where,
    ({ scopes: found }, _req, { scopeHierarchy }) =>
      isMet(needed, (scope) => found.includes(scope) || scopeHierarchy?.isGranted(found, scope) === true),
    ({ scopes: found }, settings) => {
      const cause = makeFailedCheck('scope', needed, found);
      return new InsufficientScopeError('scope_missing', sufficient(settings), { cause });
    },
    sufficient,
  );
}

/** The arguments of a gate for scopes, checked. */
export function parseScopes(where: string, scopes: readonly unknown[]): string[] {
  assertNotRequest(where, scopes[0]);
  return parseValue(where, scopeArgumentsRule, scopes);
}

/**
 * Requires a claim with the expected value, with one of an array of values, or that a predicate accepts. An array claim
 * is accepted if it contains the value. A claim that is absent is never accepted.
 *
 * @throws ConfigurationError for an expected value that a claim cannot be compared with.
 */
export function requireClaim(
  name: string,
  expected: ClaimValue | readonly ClaimValue[] | Predicate<[value: unknown]>,
): Middleware;
export function requireClaim(
  name: string,
  expected: ClaimValue | readonly ClaimValue[] | Predicate<[value: unknown]>,
  ...others: unknown[]
): Middleware {
  assertNotRequest('requireClaim', name);
  parseValue('requireClaim', noMoreValuesRule, others);
  const claimName = parseValue('requireClaim', nameRule, name);
  const accepts = parseValue('requireClaim', expectedRule, expected);
  // Unlike elsewhere, `null` is a value here: a gate may expect it.
  const valueOf = ({ claims }: Auth): unknown => rawClaim(claims, claimName);
  return gate(
    'requireClaim',
    (auth) => {
      const value = valueOf(auth);
      return value !== undefined && accepts(value);
    },
    (auth) =>
      new InsufficientScopeError('claim_mismatch', [], {
        cause: makeFailedCheck(
          claimName,
          typeof expected === 'function' ? 'a value that the predicate accepts' : expected,
          valueOf(auth),
        ),
      }),
  );
}

function callerGate(
  name: string,
  reason: 'machine_required' | 'user_required',
  property: 'isMachine' | 'isUser',
): Middleware {
  const cause = makeFailedCheck(property, true, false);
  return gate(
    name,
    (auth) => auth[property],
    () => new InsufficientScopeError(reason, [], { cause }),
  );
}

/**
 * Requires evidence that a client obtained the token for itself, with the client-credentials grant (`auth.isMachine`).
 *
 * @throws ConfigurationError for an argument.
 */
export function requireMachine(...none: undefined[]): Middleware {
  assertNotRequest('requireMachine', none[0]);
  parseValue('requireMachine', noArgumentsRule, none);
  return callerGate('requireMachine', 'machine_required', 'isMachine');
}

/**
 * Requires evidence that the token was issued on behalf of a person (`auth.isUser`).
 *
 * @throws ConfigurationError for an argument.
 */
export function requireUser(...none: undefined[]): Middleware {
  assertNotRequest('requireUser', none[0]);
  parseValue('requireUser', noArgumentsRule, none);
  return callerGate('requireUser', 'user_required', 'isUser');
}

/**
 * Allows requests for which a predicate returns `true`. It may be async; if it throws, the request goes to the
 * application's error handler.
 *
 * @throws ConfigurationError for a value that is not a function, or an option that is unknown or wrong.
 */
export function requireThat(
  predicate: Predicate<[auth: Auth, req: Request]>,
  options: RequireThatOptions = {},
): Middleware {
  assertNotRequest('requireThat', predicate);
  const decide = parseValue('requireThat', predicateRule, predicate);
  const { scopes = [] } = readOptions<RequireThatOptions>('requireThat', options, requireThatRules);
  const cause = makeFailedCheck('the predicate of requireThat', true, false);
  const rejection = (): InsufficientScopeError => new InsufficientScopeError('condition_failed', scopes, { cause });
  return gate('requireThat', decide, rejection, () => scopes);
}

const noMoreValuesRule: Rule<unknown[]> = {
  ...noArgumentsRule,
  expected: 'a name and one value or array',
  fix: 'Pass several values as an array: requireClaim(name, [first, second]).',
};

const expectedRule: Rule<Predicate<[unknown]>> = {
  expected: 'a string, number, boolean or null, a non-empty array of them, or a predicate',
  fix: 'Pass the value that the claim must have.',
  doubt: (expected) => firstMistake(expected, valueDoubt),
  hint: (expected) => (isGate(expected) ? GATE_FIX : undefined),
  parse: (expected) => {
    if (isGate(expected)) return undefined;
    if (typeof expected === 'function') return expected as Predicate<[unknown]>;
    const values: unknown[] = Array.isArray(expected) ? [...(expected as unknown[])] : [expected];
    if (values.length === 0 || !values.every(isClaimValue)) return undefined;
    const allowed = new Set<unknown>(values);
    return (value) => (Array.isArray(value) ? value.some((each) => allowed.has(each)) : allowed.has(value));
  },
};

// A value with a space is usual, such as a name.
function valueDoubt(value: unknown): string | undefined {
  const doubt =
    typeof value === 'string' && /\s/.test(value) ? undefined : listDoubt(value, 'Pass an array of values.');
  return settingMistake(value) ?? doubt;
}

function isClaimValue(value: unknown): value is ClaimValue {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}
