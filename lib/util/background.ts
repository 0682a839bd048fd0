import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * Runs a function outside of every request. Without this, background work would keep the `AsyncLocalStorage` values of the
 * request that started it, such as the trace of that request, which would then never end.
 */
export const runInBackground: <R>(run: () => R) => R = AsyncLocalStorage.snapshot();
