import { AsyncResource } from 'node:async_hooks';

// An AsyncResource, because test runners report the one that `AsyncLocalStorage.snapshot` creates as an open handle. Its end
// is recorded immediately: it only carries the context, and keeps nothing alive.
const outsideOfRequests = new AsyncResource('EXPRESS_RESOURCE_SERVER_BACKGROUND', { requireManualDestroy: true });
outsideOfRequests.emitDestroy();

/**
 * Runs a function outside of every request. Without this, background work would keep the `AsyncLocalStorage` values of the
 * request that started it, such as the trace of that request, which would then never end.
 */
export const runInBackground = <R>(run: () => R): R => outsideOfRequests.runInAsyncScope(run);
