import { AsyncLocalStorage } from 'node:async_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import { jwtVerifier, type Fetch } from '../../lib/index.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import { startIssuer, verifyAsync } from '../support/helpers.js';
import { advance, eventually, simulateTime, watchedFetch } from '../support/time.js';

simulateTime();

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

describe('a verifier that nothing references any more', () => {
  async function useVerifiers(issuer: TestIssuer, count: number): Promise<void> {
    const options = {
      issuer: issuer.url,
      audience: issuer.audience,
      fetch: watchedFetch,
      keys: { refreshInterval: 60 },
    };
    for (let i = 0; i < count; i++) await verifyAsync(jwtVerifier(options), await issuer.issue());
  }

  it('is garbage-collected and sends no more requests', async () => {
    const issuer = await startIssuer();
    await useVerifiers(issuer, 20);
    expect(issuer.requests.jwks).toBe(20);
    for (let i = 0; i < 5; i++) {
      await setImmediate();
      collectGarbage();
    }
    await advance({ seconds: 300 });
    expect(issuer.requests.jwks).toBeLessThan(25);
  });

  it('still sends requests if it is referenced', async () => {
    const issuer = await startIssuer();
    const verifier = jwtVerifier({
      issuer: issuer.url,
      audience: issuer.audience,
      fetch: watchedFetch,
      keys: { refreshInterval: 60 },
    });
    await verifier.ready();
    await setImmediate();
    collectGarbage();
    await advance({ seconds: 300 });
    expect(issuer.requests.jwks).toBeGreaterThan(4);
    expect(verifier.health().keys.state).toBe('fresh');
  });
});

describe('background work', () => {
  it.each(['a successful first fetch', 'a failed first fetch'])(
    'does not run in the context of a request: %s',
    async (first) => {
      const issuer = await startIssuer();
      const requests = new AsyncLocalStorage<string>();
      const seen: (string | undefined)[] = [];
      const observed: Fetch = (url, init) => {
        seen.push(requests.getStore());
        return watchedFetch(url, init);
      };
      const make = () =>
        jwtVerifier({ issuer: issuer.url, audience: issuer.audience, fetch: observed, keys: { refreshInterval: 60 } });
      if (first === 'a failed first fetch') issuer.fail('jwks', 'error');
      const token = await issuer.issue();
      const verifier = await requests.run('first request', async () => {
        const created = make();
        await verifyAsync(created, token).catch(() => undefined);
        return created;
      });
      issuer.heal();
      expect(seen).toEqual(['first request', 'first request']);
      await advance({ seconds: 200 });
      await eventually('refreshes', () => seen.length > 4);
      expect(new Set(seen.slice(2))).toEqual(new Set([undefined]));
      await verifier.close();
    },
  );
});

describe('timers that are numbers, as in jsdom and Electron', () => {
  it('work', async () => {
    const issuer = await startIssuer();
    const original = globalThis.setTimeout;
    const timers = new Map<number, NodeJS.Timeout>();
    const asNumber = (callback: () => void, delay?: number): number => {
      timers.set(timers.size + 1, original(callback, delay));
      return timers.size;
    };
    jest.spyOn(globalThis, 'setTimeout').mockImplementation(asNumber as unknown as typeof setTimeout);
    try {
      const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience });
      await expect(verifyAsync(verifier, await issuer.issue())).resolves.toBeDefined();
    } finally {
      jest.restoreAllMocks();
      for (const timer of timers.values()) clearTimeout(timer);
    }
  });
});
