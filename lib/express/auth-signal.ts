import type { IncomingMessage } from 'node:http';
import type { Auth } from '../token/access-token.js';
import { sharedState } from '../util/shared-state.js';
import { watchToken } from '../verify/token-signals.js';
import { authenticationOf, notAuthenticated } from './auth.js';

const signals = sharedState('signals.v1', () => new WeakMap<Auth, AbortSignal>());

/**
 * A signal that aborts when the token of this request expires (`expiresAt`, by the clock of the verifier) or when a
 * verifier of this package in this process invalidates it (`verifier.invalidate(token)`). Server-sent events, WebSockets
 * and sessions that end with it do not outlive the token. The reason is an `InvalidTokenError`. The same request always
 * has the same signal; its timer keeps no process alive. It does not notice a revocation by itself: the application that
 * receives one calls `invalidate`.
 *
 * @throws ConfigurationError if no middleware authenticated the request, or if `optional` accepted it without credentials.
 */
export function authSignal(req: IncomingMessage): AbortSignal {
  const authentication = authenticationOf(req);
  if (authentication?.auth === undefined) throw notAuthenticated('authSignal', req);
  const { auth, settings } = authentication;
  const known = signals.get(auth);
  if (known !== undefined) return known;
  const signal = watchToken({ token: auth.token, expiresAt: auth.expiresAt, clock: settings.clock });
  signals.set(auth, signal);
  return signal;
}
