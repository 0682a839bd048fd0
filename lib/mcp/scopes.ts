import { InsufficientScopeError } from '../errors.js';
import { notAuthenticated } from '../express/auth.js';
import { parseScopes, type SingleScope } from '../express/gates.js';
import { type McpAuthInfo, scopeSettingsOf } from './auth-info.js';

/** The scopes of a step-up challenge. */
export interface McpScopeChallenge {
  scopes: readonly [string, ...string[]];
  errorDescription?: string;
}

/** What the SDK calls before a tool, a resource or a prompt: its `ScopeChallengeHandler`. */
export type McpScopeChallengeHandler = (context: { authInfo?: McpAuthInfo }) => McpScopeChallenge | undefined;

/**
 * Requires all of these scopes for one tool, resource or prompt of version 2 of the SDK, as its option `scopeChallenge`. A
 * scope that includes another by `scopeHierarchy` is sufficient for it. Otherwise the SDK responds 403 `insufficient_scope`
 * with all scopes that the operation needs, under the names that clients request, and `resource_metadata`.
 *
 * The handler throws a `ConfigurationError` (the SDK responds 500) if no middleware authenticated the request.
 *
 * @throws ConfigurationError without a scope, or for an argument that is not one scope (RFC 6749 §3.3).
 */
export function mcpScopes<S extends string, M extends string>(
  scope: SingleScope<S>,
  ...more: SingleScope<M>[]
): McpScopeChallengeHandler {
  const needed = parseScopes('mcpScopes', [scope, ...more]);
  const { message } = new InsufficientScopeError('scope_missing');
  return (context) => {
    const { authInfo } = context;
    if (authInfo === undefined) throw notAuthenticated('mcpScopes', context);
    const { scopeHierarchy, requestedScopes } = scopeSettingsOf(authInfo);
    const isGranted = (scope: string): boolean =>
      authInfo.scopes.includes(scope) || scopeHierarchy?.isGranted(authInfo.scopes, scope) === true;
    if (needed.every(isGranted)) return undefined;
    const sufficient = scopeHierarchy?.narrowestOfAll(needed) ?? needed;
    const [first = scope, ...others] = requestedScopes?.(sufficient) ?? sufficient;
    return { scopes: [first, ...others], errorDescription: message };
  };
}
