import { InvalidTokenError } from '../errors.js';
import { tokenDigest } from '../token/token-digest.js';
import { runInBackground } from '../util/background.js';
import { sharedState } from '../util/shared-state.js';
import { startTimer } from '../util/timer.js';

/** What decides how long a token is usable. */
export interface WatchedToken {
  readonly token: string;
  /** Seconds since the epoch; `undefined` if the token does not expire. */
  readonly expiresAt: number | undefined;
  /** Seconds since the epoch. */
  readonly clock: () => number;
}

/** By the digest of a token, what ends its signals. A verifier of one copy of the package ends those of another. */
const watches = sharedState('watches.v1', () => new Map<string, Set<AbortController>>());

/** A timer waits no longer, so that a change of the clock takes effect; timers of Node are limited to 2^31 ms. Seconds. */
const LONGEST_WAIT = 3_600;

/**
 * A signal that aborts with an `InvalidTokenError` when the token expires or is invalidated. What watches the token is
 * removed then, or when nothing refers to the signal and nothing listens to it.
 */
export function watchToken({ token, expiresAt, clock }: WatchedToken): AbortSignal {
  const key = tokenDigest(token);
  const end = new AbortController();
  let stopTimer = (): void => undefined;
  const expireLater = (at: number): void => {
    const left = at - clock();
    if (left > 0) {
      stopTimer = startTimer(Math.min(left, LONGEST_WAIT), () => {
        expireLater(at);
      });
    } else end.abort(new InvalidTokenError('expired'));
  };
  const stopWatching = (): void => {
    stopTimer();
    remove(key, end);
  };
  if (expiresAt !== undefined)
    runInBackground(() => {
      expireLater(expiresAt);
    });
  if (end.signal.aborted) return end.signal;
  add(key, end);
  end.signal.addEventListener('abort', stopWatching, { once: true });
  const signal = AbortSignal.any([end.signal]);
  unused.register(signal, stopWatching);
  return signal;
}

const unused = new FinalizationRegistry<() => void>((stopWatching) => {
  stopWatching();
});

/** Aborts the signals of a token that is no longer accepted. */
export function endSignals(token: string): void {
  for (const end of [...(watches.get(tokenDigest(token)) ?? [])]) end.abort(new InvalidTokenError('inactive'));
}

function add(key: string, end: AbortController): void {
  const known = watches.get(key);
  if (known === undefined) watches.set(key, new Set([end]));
  else known.add(end);
}

function remove(key: string, end: AbortController): void {
  const known = watches.get(key);
  known?.delete(end);
  if (known?.size === 0) watches.delete(key);
}
