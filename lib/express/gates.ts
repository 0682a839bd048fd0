import type { Request } from 'express';
import { InsufficientScopeError } from '../errors.js';
import type { InsufficientScopeReason } from '../reasons.js';
import { callable, readOptions, type Rule, type Rules, text, texts } from '../options.js';
import type { Auth } from '../token/access-token.js';
import { claim } from '../token/claims.js';
import { gate, parseArgument as parse, type Predicate } from './gate.js';
import type { Middleware } from './middleware.js';

/** A value that a claim can be compared with. */
export type ClaimValue = string | number | boolean | null;

/** What `requireThat` takes. */
export interface RequireThatOptions {
  /** Named as `scope=` in the challenge, where more scope would help. @default none */
  scopes?: readonly string[];
}

// RFC 6749 §3.3.
const isScope = (value: string): boolean => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(value);
const scopesRule = texts(
  'at least one scope, each a string without spaces and quotes',
  'List them as arguments.',
  isScope,
);
const clientsRule = texts('at least one client id', 'List them as arguments.');
const nameRule = text('the name of a claim', 'Pass it as the first argument.');
const predicateRule = callable<Predicate<[Auth, Request]>>('a function of (auth, req)', 'Return true to let it pass.');
const noArgumentsRule: Rule<unknown[]> = {
  expected: 'no arguments',
  fix: 'Call it: the gate is what it returns.',
  parse: (value) => (Array.isArray(value) && value.length === 0 ? value : undefined),
};
const requireThatRules: Rules<RequireThatOptions> = { scopes: scopesRule };

/**
 * Lets tokens pass that grant all these scopes.
 *
 * @throws ConfigurationError for no scope, or something that is none (RFC 6749 §3.3).
 */
export function requireScopes(...scopes: string[]): Middleware {
  const needed = parse('requireScopes', scopesRule, scopes);
  return scopeGate('requireScopes', 'scope_missing', needed, (auth) =>
    needed.every((scope) => auth.scopes.includes(scope)),
  );
}

/**
 * Lets tokens pass that grant at least one of these scopes.
 *
 * @throws ConfigurationError for no scope, or something that is none (RFC 6749 §3.3).
 */
export function requireAnyScope(...scopes: string[]): Middleware {
  const any = parse('requireAnyScope', scopesRule, scopes);
  return scopeGate('requireAnyScope', 'scope_missing', any, (auth) => any.some((scope) => auth.scopes.includes(scope)));
}

/**
 * Lets tokens pass whose claim is the expected value, or one of an array, or what a predicate says yes to. An array
 * claim passes when it contains the value. A claim that is absent never passes.
 *
 * @throws ConfigurationError for an expected value that is nothing a claim can be compared with.
 */
export function requireClaim(
  name: string,
  expected: ClaimValue | readonly ClaimValue[] | Predicate<[value: unknown]>,
): Middleware {
  const claimName = parse('requireClaim', nameRule, name);
  const accepts = parse('requireClaim', expectedRule, expected);
  return scopeGate('requireClaim', 'claim_mismatch', [], (auth) => {
    const value = claim(auth.claims, claimName);
    return value !== undefined && accepts(value);
  });
}

/**
 * Lets these calling clients pass.
 *
 * @throws ConfigurationError for no client id.
 */
export function requireClient(...clientIds: string[]): Middleware {
  const allowed = new Set(parse('requireClient', clientsRule, clientIds));
  return scopeGate(
    'requireClient',
    'client_refused',
    [],
    ({ clientId }) => clientId !== undefined && allowed.has(clientId),
  );
}

/**
 * Lets tokens pass that a client obtained for itself, with the client-credentials grant (`auth.isMachine`).
 *
 * @throws ConfigurationError for an argument, because `requireMachine` without its parentheses is no middleware.
 */
export function requireMachine(...none: []): Middleware {
  parse('requireMachine', noArgumentsRule, none);
  return scopeGate('requireMachine', 'machine_required', [], (auth) => auth.isMachine);
}

/**
 * Lets tokens pass that a client obtained on behalf of a person.
 *
 * @throws ConfigurationError for an argument, because `requireUser` without its parentheses is no middleware.
 */
export function requireUser(...none: []): Middleware {
  parse('requireUser', noArgumentsRule, none);
  return scopeGate('requireUser', 'user_required', [], (auth) => !auth.isMachine);
}

/**
 * Lets requests pass that a predicate says `true` to. It may be async; where it throws, the request goes to the
 * application's error handler.
 *
 * @throws ConfigurationError for something that is no function, or an option that is unknown or wrong.
 */
export function requireThat(
  predicate: Predicate<[auth: Auth, req: Request]>,
  options: RequireThatOptions = {},
): Middleware {
  const decide = parse('requireThat', predicateRule, predicate);
  const { scopes = [] } = readOptions<RequireThatOptions>('requireThat', options, requireThatRules);
  return scopeGate('requireThat', 'condition_failed', scopes, decide);
}

const expectedRule: Rule<Predicate<[unknown]>> = {
  expected: 'a string, number, boolean or null, a non-empty array of them, or a predicate',
  fix: 'Pass the value that the claim must have.',
  parse: (expected) => {
    if (typeof expected === 'function') return expected as Predicate<[unknown]>;
    const values: unknown[] = Array.isArray(expected) ? [...(expected as unknown[])] : [expected];
    if (values.length === 0 || !values.every(isClaimValue)) return undefined;
    const allowed = new Set<unknown>(values);
    return (value) => (Array.isArray(value) ? value.some((each) => allowed.has(each)) : allowed.has(value));
  },
};

function isClaimValue(value: unknown): value is ClaimValue {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}

function scopeGate(
  name: string,
  reason: InsufficientScopeReason,
  scopes: readonly string[],
  decide: Predicate<[auth: Auth, req: Request]>,
): Middleware {
  return gate(name, decide, () => new InsufficientScopeError(reason, scopes));
}
