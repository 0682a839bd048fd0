import { AsyncLocalStorage } from 'node:async_hooks';
import { warn } from '../util/warnings.js';

/** More verifiers than this are not recorded. */
const MAX_RECORDED = 10_000;

const resolverCalls = new AsyncLocalStorage<true>();
/** The number of verifiers that are not closed, by kind and issuer. */
const instances = new Map<string, number>();
const reported = new Set<string>();
let hasServed = false;

/** Runs a resolver of `trustedIssuers`, which creates verifiers while requests are served. */
export function runResolver<T>(resolve: () => T): T {
  return resolverCalls.run(true, resolve);
}

/** Whether a resolver of `trustedIssuers` creates verifiers now. */
export function isInResolver(): boolean {
  return resolverCalls.getStore() === true;
}

/** The first token is verified: verifiers that are created from now on are probably created by mistake. */
export function noteServed(): void {
  hasServed = true;
}

/**
 * Records a new verifier, and warns if it is a second one for its issuer that is created while requests are served: one
 * middleware per request fetches the keys again and again. Returns a function that ends the record.
 */
export function recordInstance(where: string, issuer: string): () => void {
  const name = `${where} ${issuer}`;
  const count = instances.get(name) ?? 0;
  if (isInResolver() || (count === 0 && instances.size >= MAX_RECORDED)) return () => undefined;
  instances.set(name, count + 1);
  if (count > 0 && hasServed && !reported.has(name)) {
    reported.add(name);
    warn(
      'ERS_SECOND_INSTANCE',
      `${where} was called a second time for the issuer ${issuer}, after this process has served a request. Each ` +
        'instance fetches the keys again and has its own cache. Create it once, at startup, and use it for all requests.',
    );
  }
  let isOpen = true;
  return () => {
    if (!isOpen) return;
    isOpen = false;
    const left = (instances.get(name) ?? 1) - 1;
    if (left === 0) instances.delete(name);
    else instances.set(name, left);
  };
}
