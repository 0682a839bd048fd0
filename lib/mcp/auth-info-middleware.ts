import { authenticationOf, notAuthenticated } from '../express/auth.js';
import type { Middleware } from '../express/middleware.js';
import { readOptions } from '../options.js';
import { authInfoRules, makeAuthInfo, type McpAuthInfoOptions, type ResourceUrls } from './auth-info.js';

/**
 * Sets `req.auth` to the `AuthInfo` that the MCP SDK passes to tools. Mount it after a bearer middleware and before the
 * handler of the SDK; `mcpResource` includes it. `getAuth(req)` and the gates are not affected. If `optional` accepted a
 * request without credentials, `req.auth` is undefined.
 *
 * @throws ConfigurationError for an option that is unknown or wrong.
 */
export function mcpAuthInfo(options: McpAuthInfoOptions = {}, ..._none: undefined[]): Middleware {
  return createAuthInfo(readOptions<McpAuthInfoOptions>('mcpAuthInfo', options, authInfoRules));
}

/** The same for options that are checked. */
export function createAuthInfo({ resource, resourceMetadata }: ResourceUrls): Middleware {
  return function mcpAuthInfoMiddleware(req, _res, next): void {
    const authentication = authenticationOf(req);
    if (authentication === undefined) {
      next(notAuthenticated('mcpAuthInfo', req));
      return;
    }
    const { auth, settings } = authentication;
    const urls = { resource, resourceMetadata: resourceMetadata ?? settings.resourceMetadata };
    // The transports of the SDK read this property.
    Reflect.set(req, 'auth', auth && makeAuthInfo(auth, urls, settings));
    next();
  };
}
