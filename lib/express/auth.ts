import type { IncomingMessage } from 'node:http';
import { ConfigurationError } from '../errors.js';
import type { Auth } from '../token/access-token.js';
import type { RespondSettings } from './respond.js';

/** What a middleware stores on the request for `getAuth` and the gates. */
export interface Authentication {
  /** `undefined` if `optional` accepted a request without credentials. */
  readonly auth: Auth | undefined;
  readonly settings: RespondSettings;
}

// It does not depend on the option `property`, no other middleware writes it, and all copies of the package share it.
const AUTHENTICATION = Symbol.for('express-resource-server.authentication.v1');

export function authenticationOf(req: IncomingMessage): Authentication | undefined {
  return Reflect.get(req, AUTHENTICATION) as Authentication | undefined;
}

export function setAuthentication(req: IncomingMessage, authentication: Authentication): void {
  Reflect.set(req, AUTHENTICATION, authentication);
}

/** Makes an `Auth` what `getAuth`, the gates and the property of the request return. */
export function authenticateAs(req: IncomingMessage, auth: Auth, settings: RespondSettings): void {
  setAuthentication(req, { auth, settings });
  (req as unknown as Record<string, unknown>)[settings.property] = auth;
}

/**
 * Returns the `Auth` that the last bearer middleware set on this request. The type parameter types `claims`; nothing
 * checks it.
 *
 * @throws ConfigurationError if no middleware authenticated the request, or if `optional` accepted it without credentials
 * (use `getOptionalAuth` there).
 */
export function getAuth<Claims extends object = Record<string, unknown>>(req: IncomingMessage): Auth<Claims> {
  const auth = authenticationOf(req)?.auth;
  if (auth === undefined) throw notAuthenticated('getAuth');
  return auth as Auth<Claims>;
}

/**
 * Returns the `Auth` of this request, or `undefined` if `optional: true` accepted it without credentials.
 *
 * @throws ConfigurationError if no bearer middleware ran before this handler.
 */
export function getOptionalAuth<Claims extends object = Record<string, unknown>>(
  req: IncomingMessage,
): Auth<Claims> | undefined {
  const authentication = authenticationOf(req);
  if (authentication === undefined) throw notAuthenticated('getOptionalAuth');
  return authentication.auth as Auth<Claims> | undefined;
}

/** The error for a handler or a gate without the middleware that it needs before it. */
export function notAuthenticated(where: string): ConfigurationError {
  return new ConfigurationError(
    {
      option: where,
      expected: 'a request that a bearer middleware has authenticated',
      got: 'a request that none has authenticated',
      fix: 'Mount jwtBearer(...) before it. If that middleware is optional, use getOptionalAuth(req).',
    },
    { reason: 'not_authenticated' },
  );
}
