import type { Request } from 'express';
import { makeFailedCheck, MissingTokenError, type ResourceServerError } from '../errors.js';
import type { Auth } from '../token/access-token.js';
import { authenticationOf, notAuthenticated } from './auth.js';
import type { Middleware } from './middleware.js';
import { continueAfter, type RespondSettings, respondWith } from './respond.js';
import { isPromise } from '../util/is-promise.js';

/** Allows the request only with exactly `true`, or a promise of it. */
export type Predicate<Args extends unknown[]> = (...args: Args) => boolean | PromiseLike<boolean>;

// All copies of the package share it.
const GATE = Symbol.for('express-resource-server.gate.v1');

/**
 * Every gate: a decision about the caller. It responds as the middleware before it is configured. A challenge to a caller
 * without a token names the sufficient scopes.
 */
export function gate(
  name: string,
  decide: Predicate<[auth: Auth, req: Request, settings: RespondSettings]>,
  rejection: (auth: Auth, settings: RespondSettings) => ResourceServerError,
  sufficientScopes?: (settings: RespondSettings) => readonly string[],
): Middleware {
  const gateMiddleware: Middleware = (req, res, next) => {
    const authentication = authenticationOf(req);
    if (authentication === undefined) {
      next(notAuthenticated(name, req));
      return;
    }
    const { auth, settings } = authentication;
    const failed = (error: unknown): void => {
      respondWith(error, req, res, next, settings, auth);
    };
    if (auth === undefined) {
      const cause = makeFailedCheck('authentication', 'an access token', undefined);
      failed(new MissingTokenError({ cause, scopes: sufficientScopes?.(settings) }));
      return;
    }
    const conclude = (decision: unknown): void => {
      if (decision === true) next();
      else failed(rejection(auth, settings));
    };
    let decision: boolean | PromiseLike<boolean>;
    try {
      decision = decide(auth, req as Request, settings);
    } catch (error) {
      failed(error);
      return;
    }
    if (isPromise(decision)) continueAfter(decision, conclude, failed, next);
    else conclude(decision);
  };
  return Object.defineProperty(gateMiddleware, GATE, { value: name });
}

/** Whether a value is a gate, of any copy of the package. */
export function isGate(value: unknown): boolean {
  return typeof value === 'function' && typeof Reflect.get(value, GATE) === 'string';
}
