import { setImmediate } from 'node:timers';
import { UpstreamError } from '../errors.js';
import { HttpError } from '../issuer/http-error.js';
import { runInBackground } from '../util/background.js';
import { startDeadline } from '../util/timer.js';
import { isInResolver } from './instances.js';

/** What can be fetched before the first request. */
export interface PrefetchedDocuments {
  ready(): Promise<unknown>;
  /** Ends the pause after failed fetches; `undefined` if nothing is ever fetched. */
  endPause?(): void;
  /** Ends the fetches in progress; `undefined` if nothing is ever fetched. */
  abortLoads?(reason: HttpError): void;
}

/** A prefetch that was started. */
export interface Prefetch {
  /**
   * Somebody needs the documents now, so the prefetch continues as long as every other fetch may. Returns its end, which
   * never rejects, or `undefined` if it is not in progress. If it has failed, the next fetch may start immediately.
   */
  join(): Promise<void> | undefined;
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
  let hasFailed = false;
  let running: Promise<void> | undefined;
  let stopTimer = (): void => undefined;
  const abort = (): void => {
    documents.abortLoads?.(new HttpError('timeout', `the prefetch was not complete after ${timeout} s`));
  };
  // Nobody may have been online yet, such as a container that starts or a test that mocks the network later. So the first
  // request makes an attempt of its own, unless it has waited for the deadline already.
  const failed = (error: unknown): void => {
    if (!isJoined) hasFailed = true;
    else if (!isCancelled && !isTimeout(error)) documents.endPause?.();
  };
  const prefetch = async (): Promise<void> => {
    const isFirst = !isJoined;
    if (isFirst) stopTimer = startDeadline(timeout, abort);
    try {
      await documents.ready();
    } catch (error) {
      // The documents have reported it.
      if (isFirst) failed(error);
    } finally {
      stopTimer();
      running = undefined;
    }
  };
  // Later, so that a program that creates a verifier and closes it sends no request.
  runInBackground(() =>
    setImmediate(() => {
      if (!isCancelled) running = prefetch();
    }),
  );
  return {
    join: () => {
      isJoined = true;
      stopTimer();
      if (hasFailed) {
        hasFailed = false;
        documents.endPause?.();
      }
      return running;
    },
    cancel: () => {
      isCancelled = true;
      stopTimer();
    },
  };
}

function isTimeout(error: unknown): boolean {
  return error instanceof UpstreamError && error.cause instanceof HttpError && error.cause.failure === 'timeout';
}
