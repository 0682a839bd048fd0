import type { IncomingMessage } from 'node:http';
import { ConfigurationError } from '../errors.js';
import type { Auth } from '../token/access-token.js';
import { isPlainObject } from '../util/is-plain-object.js';
import type { RespondSettings } from './respond.js';

/** What a middleware stores on the request for `getAuth` and the gates. */
export interface Authentication {
  /** The request that was authenticated. */
  readonly request: IncomingMessage;
  /** `undefined` if `optional` accepted a request without credentials. */
  readonly auth: Auth | undefined;
  readonly settings: RespondSettings;
}

// It does not depend on the option `property`, no other middleware writes it, and all copies of the package share it.
const AUTHENTICATION = Symbol.for('express-resource-server.authentication.v1');

/** An object of the request that holds its authentication. */
interface Holder {
  [AUTHENTICATION]?: Authentication;
}

export function authenticationOf(req: IncomingMessage): Authentication | undefined {
  if (!isPlainObject(req)) return undefined;
  const shared = rawHeadersOf(req)?.[AUTHENTICATION];
  if (shared?.request === req) return shared;
  const own = (req as Holder)[AUTHENTICATION];
  if (own !== undefined || shared === undefined) return own;
  // An object that inherits from the request is the request, until a middleware authenticates it.
  return Object.prototype.isPrototypeOf.call(shared.request, req) ? shared : undefined;
}

/**
 * Stores the authentication of a request. Express gives every request its own hidden class, so each property that is added
 * to it costs 2 µs. The array of raw headers belongs to the request too, and all such arrays have one hidden class.
 */
export function setAuthentication(authentication: Authentication): void {
  const { request } = authentication;
  const rawHeaders = rawHeadersOf(request);
  // Some servers create the array for each read, and a request that an application copies has the array of the original.
  const isOwn =
    rawHeaders !== undefined &&
    rawHeaders === rawHeadersOf(request) &&
    (rawHeaders[AUTHENTICATION] === undefined || rawHeaders[AUTHENTICATION].request === request);
  const holder = isOwn ? rawHeaders : (request as Holder);
  holder[AUTHENTICATION] = authentication;
}

function rawHeadersOf({ rawHeaders }: Partial<IncomingMessage>): Holder | undefined {
  return rawHeaders as Holder | undefined;
}

/** Makes an `Auth` what `getAuth`, the gates and the property of the request return. */
export function authenticateAs(req: IncomingMessage, auth: Auth, settings: RespondSettings): void {
  setAuthentication({ request: req, auth, settings });
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
  if (auth === undefined) throw notAuthenticated('getAuth', req);
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
  if (authentication === undefined) throw notAuthenticated('getOptionalAuth', req);
  return authentication.auth as Auth<Claims> | undefined;
}

/** The error for a handler or a gate without the middleware that it needs before it. */
export function notAuthenticated(where: string, req: unknown): ConfigurationError {
  return new ConfigurationError(
    {
      option: where,
      expected: 'a request that a bearer middleware has authenticated',
      got: isPlainObject(req) ? 'a request that none has authenticated' : `a value of type ${typeof req}`,
      fix: 'Mount jwtBearer(...) before it. If that middleware is optional, use getOptionalAuth(req).',
    },
    { reason: 'not_authenticated' },
  );
}
