import { canParseUrl } from '../util/url.js';
import type { TokenVerifier } from '../verify/token-verifier.js';

/** What the metadata of the resource and the integrations read from a bearer middleware. */
export interface BearerDescription {
  /** Whether it accepts requests without credentials. */
  readonly isOptional: boolean;
  /** The issuers of the accepted tokens; empty if the verifier does not name them. */
  readonly authorizationServers: () => readonly string[];
  /** The algorithms of DPoP proofs; empty if DPoP is off. */
  readonly dpopAlgorithms: readonly string[];
  readonly isDpopRequired: boolean;
  readonly supportsMtls: boolean;
  /** For each scope in tokens, the name that clients request. */
  readonly scopeNames: Readonly<Record<string, string>>;
}

// All copies of the package share it, so that the metadata of one copy can describe a middleware of another.
const DESCRIPTION = Symbol.for('express-resource-server.bearer.v1');

/** The description of a bearer middleware; `undefined` for any other value. */
export function descriptionOf(middleware: unknown): BearerDescription | undefined {
  if (typeof middleware !== 'function') return undefined;
  return Reflect.get(middleware, DESCRIPTION) as BearerDescription | undefined;
}

export function describeBearer<M extends object>(middleware: M, description: BearerDescription): M {
  return Object.defineProperty(middleware, DESCRIPTION, { value: Object.freeze(description) });
}

/** The issuers that a verifier names: its own, or those of the verifiers that it combines. */
export function issuersOf(verifier: TokenVerifier): readonly string[] {
  if (verifier.issuer !== undefined) return [verifier.issuer];
  const { issuers = {} } = verifier.health?.() ?? {};
  return Object.keys(issuers).filter((name) => canParseUrl(name) && !/\s/.test(name));
}
