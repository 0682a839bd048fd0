import { ConfigurationError } from '../errors.js';
import { firstMistake, type Rule, texts } from '../options.js';
import { isPlainObject } from '../util/is-plain-object.js';
import { isScope, scopeDoubt } from '../token/scope.js';

/** For each scope, the scopes that it includes. */
export type ScopeTable = Readonly<Record<string, readonly string[]>>;

/** Which scopes include which others, transitively. OAuth 2.0 has no such relation: it is an agreement of one API. */
export class ScopeHierarchy {
  /** For each scope, all scopes that it includes; not itself. */
  readonly #included: ReadonlyMap<string, ReadonlySet<string>>;

  private constructor(included: ReadonlyMap<string, ReadonlySet<string>>) {
    this.#included = included;
  }

  /** The table must have no cycle. */
  static of(table: ScopeTable): ScopeHierarchy {
    const direct = new Map(Object.entries(table));
    const included = new Map([...direct.keys()].map((scope) => [scope, reachableFrom(scope, direct)]));
    return new ScopeHierarchy(included);
  }

  /** Whether one of the granted scopes is the needed one or includes it. */
  isGranted(granted: readonly string[], needed: string): boolean {
    return granted.some((scope) => scope === needed || this.#includes(scope, needed));
  }

  /** The scopes and all that they include. */
  expand(scopes: readonly string[]): string[] {
    return [...new Set(scopes.flatMap((scope) => [scope, ...(this.#included.get(scope) ?? [])]))];
  }

  /** The fewest of the scopes that are sufficient if all of them are needed. */
  narrowestOfAll(scopes: readonly string[]): string[] {
    return scopes.filter((scope) => !scopes.some((other) => this.#includes(other, scope)));
  }

  /** Those of the scopes that grant the least, if one of them is sufficient. */
  narrowestOfAny(scopes: readonly string[]): string[] {
    return scopes.filter((scope) => !scopes.some((other) => this.#includes(scope, other)));
  }

  #includes(scope: string, other: string): boolean {
    return this.#included.get(scope)?.has(other) === true;
  }
}

function reachableFrom(scope: string, direct: ReadonlyMap<string, readonly string[]>): Set<string> {
  // A set visits what is added while it is iterated.
  const reachable = new Set(direct.get(scope));
  for (const each of reachable) for (const next of direct.get(each) ?? []) reachable.add(next);
  return reachable;
}

const scopeList = texts('', '', isScope);

export const scopeHierarchyRule: Rule<ScopeTable> = {
  expected: 'an object of scopes, each with a non-empty array of the scopes that it includes',
  fix: "Pass an object such as { 'files:write': ['files:read'] }.",
  doubt: (value) => (isPlainObject(value) ? firstMistake(Object.entries(value).flat(2), scopeDoubt) : undefined),
  parse: (value, path) => {
    if (!isPlainObject(value)) return undefined;
    const entries = Object.entries(value).map(([scope, list]) => [scope, scopeList.parse(list, path)] as const);
    if (!entries.every(([scope, list]) => isScope(scope) && list !== undefined)) return undefined;
    const table = new Map(entries.map(([scope, list = []]) => [scope, list]));
    const cycle = findCycle(table);
    if (cycle !== undefined) throw cyclic(path, cycle);
    return Object.fromEntries(table);
  },
};

function findCycle(table: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const finished = new Set<string>();
  const visit = (scope: string, path: readonly string[]): readonly string[] | undefined => {
    const start = path.indexOf(scope);
    if (start >= 0) return [...path.slice(start), scope];
    if (finished.has(scope)) return undefined;
    for (const next of table.get(scope) ?? []) {
      const cycle = visit(next, [...path, scope]);
      if (cycle !== undefined) return cycle;
    }
    finished.add(scope);
    return undefined;
  };
  for (const scope of table.keys()) {
    const cycle = visit(scope, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

function cyclic(option: string, cycle: readonly string[]): ConfigurationError {
  return new ConfigurationError({
    option,
    expected: 'no cycle',
    got: cycle.slice(0, 10).join(' → '),
    fix: 'Remove one of these entries: scopes that include each other are one scope.',
  });
}

/** The names that clients request, by the names in tokens. */
export type ScopeNames = Readonly<Record<string, string>>;

export const scopeNamesRule: Rule<ScopeNames> = {
  expected: 'an object of scopes in tokens, each with the scope that clients request for it',
  fix: "Pass an object such as { 'files.read': 'api://files/files.read' }.",
  doubt: (value) => (isPlainObject(value) ? firstMistake(Object.entries(value).flat(), scopeDoubt) : undefined),
  parse: (value) => {
    if (!isPlainObject(value)) return undefined;
    const isValid = Object.entries(value).every(([scope, name]) => isScope(scope) && isScope(String(name)));
    return isValid && Object.values(value).every((name) => typeof name === 'string')
      ? ({ ...value } as ScopeNames)
      : undefined;
  },
};

/** The scopes under the names that clients request. */
export function requestedNames(scopes: readonly string[], names: ScopeNames | undefined): string[] {
  return scopes.map((scope) => (names !== undefined && Object.hasOwn(names, scope) ? (names[scope] ?? scope) : scope));
}
