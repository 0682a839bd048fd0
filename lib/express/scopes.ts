import { firstMistake, type Rule, texts } from '../options.js';
import { isScope, scopeDoubt } from '../token/scope.js';

/**
 * Scopes that clients shall request. `offline_access` is not one: it requests a refresh token from the authorization server
 * (OpenID Connect Core §11), and is not a permission of an API.
 */
export const requestedScopesRule: Rule<string[]> = {
  ...texts(
    'an array of scopes, each without spaces and quotes, and without offline_access',
    'Pass one scope per item, such as ["files:read", "files:write"].',
    (value) => isScope(value) && value !== 'offline_access',
  ),
  hint: (value) => {
    const items: unknown[] = Array.isArray(value) ? value : [value];
    if (items.includes('offline_access'))
      return 'Remove offline_access: clients decide themselves whether they need a refresh token.';
    return typeof value === 'string' ? 'Pass an array with one scope per item.' : undefined;
  },
  doubt: (value) => firstMistake(value, scopeDoubt),
};
