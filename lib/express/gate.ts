import type { IncomingMessage } from 'node:http';
import type { Request } from 'express';
import { MissingTokenError, type ResourceServerError } from '../errors.js';
import { invalidOption, type Rule } from '../options.js';
import type { Auth } from '../token/access-token.js';
import { authenticationOf, notAuthenticated } from './auth.js';
import type { Middleware } from './middleware.js';
import { respondWith, continueAfter } from './respond.js';

/** Anything but exactly `true`, or a promise of it, is a no. */
export type Predicate<Args extends unknown[]> = (...args: Args) => boolean | PromiseLike<boolean>;

/** What all gates are: a decision about the caller, answered the way the middleware before it answers. */
export function gate(
  name: string,
  decide: Predicate<[auth: Auth, req: Request]>,
  refusal: () => ResourceServerError,
): Middleware {
  return function gateMiddleware(req: IncomingMessage, res, next): void {
    const authentication = authenticationOf(req);
    if (authentication === undefined) {
      next(notAuthenticated(name));
      return;
    }
    const { auth, settings } = authentication;
    const failed = (error: unknown): void => {
      respondWith(error, res, next, settings, auth?.scheme);
    };
    if (auth === undefined) {
      failed(new MissingTokenError());
      return;
    }
    const conclude = (decision: unknown): void => {
      if (decision === true) next();
      else failed(refusal());
    };
    let decision: boolean | PromiseLike<boolean>;
    try {
      decision = decide(auth, req as Request);
    } catch (error) {
      failed(error);
      return;
    }
    if (isPromise(decision)) continueAfter(decision, conclude, failed, next);
    else conclude(decision);
  };
}

function isPromise(value: unknown): value is PromiseLike<boolean> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** Checks one argument of a gate by its rule. */
export function parseArgument<T>(where: string, rule: Rule<T>, value: unknown): T {
  const parsed = rule.parse(value, where);
  if (parsed === undefined) throw invalidOption(where, rule, value);
  return parsed;
}
