import { HttpError } from '../issuer/http-error.js';
import { runInBackground } from '../util/background.js';
import { startTimer } from '../util/timer.js';
import { isInResolver } from './instances.js';

/** What can be fetched before the first request. */
export interface PrefetchedDocuments {
  ready(): Promise<unknown>;
  /** Ends the fetches in progress; `undefined` if nothing is ever fetched. */
  abortLoads?(reason: HttpError): void;
}

/** A prefetch that was started. */
export interface Prefetch {
  /** Somebody waits for the documents now, so the prefetch continues as long as every other fetch may. */
  join(): void;
  /** The verifier is closed. */
  cancel(): void;
}

const NO_PREFETCH: Prefetch = { join: () => undefined, cancel: () => undefined };

/**
 * Fetches documents in the background, before the first request needs them. It never throws: warnings report a failure, and
 * the first request tries again. It delays the exit of the process by at most `timeout` seconds.
 * Without a timeout there is no prefetch.
 */
export function startPrefetch(documents: PrefetchedDocuments, timeout: number | undefined): Prefetch {
  // A token created the verifier of a resolver, and its verification fetches the documents next.
  if (timeout === undefined || documents.abortLoads === undefined || isInResolver()) return NO_PREFETCH;
  let isJoined = false;
  let isCancelled = false;
  let stopTimer = (): void => undefined;
  const abort = (): void => {
    documents.abortLoads?.(new HttpError('timeout', `the prefetch was not complete after ${timeout} s`));
  };
  const prefetch = async (): Promise<void> => {
    if (!isJoined) stopTimer = startTimer(timeout, abort);
    try {
      await documents.ready();
    } catch {
      // The documents have reported it.
    } finally {
      stopTimer();
    }
  };
  // Later, so that a program that creates a verifier and closes it sends no request.
  runInBackground(() =>
    setImmediate(() => {
      if (!isCancelled) void prefetch();
    }),
  );
  return {
    join: () => {
      isJoined = true;
      stopTimer();
    },
    cancel: () => {
      isCancelled = true;
      stopTimer();
    },
  };
}
