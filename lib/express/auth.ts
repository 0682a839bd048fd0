import type { IncomingMessage } from 'node:http';
import { ConfigurationError } from '../errors.js';
import type { Auth } from '../token/access-token.js';
import type { RespondSettings } from './respond.js';

/** What a middleware leaves on the request for `getAuth` and the gates. */
export interface Authentication {
  /** `undefined` where `optional` admitted a request without credentials. */
  readonly auth: Auth | undefined;
  readonly settings: RespondSettings;
}

// A symbol of our own: it works whatever `property` is, and nothing else that writes `req.auth` can stand in for it.
const AUTHENTICATION = Symbol('authentication');

type Authenticated = IncomingMessage & { [AUTHENTICATION]?: Authentication };

export function authenticationOf(req: IncomingMessage): Authentication | undefined {
  return (req as Authenticated)[AUTHENTICATION];
}

export function setAuthentication(req: IncomingMessage, authentication: Authentication): void {
  (req as Authenticated)[AUTHENTICATION] = authentication;
}

/**
 * Who is calling: the `Auth` that the last bearer middleware before this handler set. The type parameter types `claims`;
 * nothing checks that they are so.
 *
 * @throws ConfigurationError where no middleware authenticated the request, and where `optional` admitted it without
 * credentials: look at `req.auth` there.
 */
export function getAuth<Claims extends object = Record<string, unknown>>(req: IncomingMessage): Auth<Claims> {
  const auth = authenticationOf(req)?.auth;
  if (auth === undefined) throw notAuthenticated('getAuth');
  return auth as Auth<Claims>;
}

/** The error for a handler or gate that stands before, or without, the middleware that it needs. */
export function notAuthenticated(where: string): ConfigurationError {
  return new ConfigurationError(
    {
      option: where,
      expected: 'a request that a bearer middleware has authenticated',
      got: 'one that none has',
      fix: 'Mount jwtBearer(...) before it; where that is optional, look whether req.auth is set.',
    },
    { reason: 'not_authenticated' },
  );
}
