import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { DiagnosticMessages, DiagnosticName } from '../lib/diagnostics.js';
import {
  cachedVerifier,
  createAccessToken,
  HttpError,
  InvalidTokenError,
  jwtVerifier,
  type JwtVerifier,
  type JwtVerifierOptions,
  memoryStore,
} from '../lib/index.js';
import type { TestIssuer } from '../lib/testing/issuer.js';
import { createScene, present, serveDpop } from './support/dpop.js';
import { cachedResult, startIssuer, verifyAsync } from './support/helpers.js';
import { verifierFor } from './support/introspection.js';
import { advance, eventually, simulateTime, watchedFetch } from './support/time.js';

simulateTime();

const scene = createScene();
const endings: (() => void)[] = [];

afterEach(() => {
  for (const end of endings.splice(0)) end();
});

/** The messages of one channel from now on, until the test ends. */
function messagesOf<N extends DiagnosticName>(name: N): DiagnosticMessages[N][] {
  const messages: DiagnosticMessages[N][] = [];
  const listener = (message: unknown): void => {
    messages.push(message as DiagnosticMessages[N]);
  };
  const channel = `express-resource-server.${name}`;
  subscribe(channel, listener);
  endings.push(() => unsubscribe(channel, listener));
  return messages;
}

function verifierOf(issuer: TestIssuer, options: Partial<JwtVerifierOptions> = {}): JwtVerifier {
  const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience, fetch: watchedFetch, ...options });
  endings.push(() => void verifier.close());
  return verifier;
}

describe('the channels of the token cache', () => {
  it('receive a miss, then hits', async () => {
    const [hits, misses] = [messagesOf('cache.hit'), messagesOf('cache.miss')];
    const issuer = await startIssuer();
    const verifier = verifierOf(issuer);
    const token = await issuer.issue();
    await verifyAsync(verifier, token);
    expect([hits, misses]).toEqual([[], [{ issuer: issuer.url }]]);
    expect(cachedResult(verifier, token)).toBeDefined();
    expect([hits, misses]).toEqual([[{ issuer: issuer.url }], [{ issuer: issuer.url }]]);
  });

  it('receive nothing without a cache', async () => {
    const [hits, misses] = [messagesOf('cache.hit'), messagesOf('cache.miss')];
    const issuer = await startIssuer();
    await verifyAsync(verifierOf(issuer, { cache: false }), await issuer.issue());
    expect([hits, misses]).toEqual([[], []]);
  });

  it('receive a hit for a cached rejection', async () => {
    const [hits, misses] = [messagesOf('cache.hit'), messagesOf('cache.miss')];
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    for (let i = 0; i < 2; i++) await expect(verifyAsync(verifier, 'unknown')).rejects.toThrow(InvalidTokenError);
    expect([hits, misses]).toEqual([[{ issuer: issuer.url }], [{ issuer: issuer.url }]]);
  });

  it('receive the look-ups of a verifier of the application, which may have no issuer', async () => {
    const [hits, misses] = [messagesOf('cache.hit'), messagesOf('cache.miss')];
    const own = { verify: () => createAccessToken({ iss: 'own' }) };
    const verifier = cachedVerifier(own);
    await verifyAsync(verifier, 'a');
    await verifyAsync(verifier, 'a');
    expect([hits, misses]).toEqual([[{ issuer: undefined }], [{ issuer: undefined }]]);
  });
});

describe('the channels of the documents', () => {
  it('receive each document that is fetched', async () => {
    const refreshed = messagesOf('keys.refreshed');
    const issuer = await startIssuer();
    const verifier = verifierOf(issuer, { keys: { refreshInterval: 60 } });
    await verifier.ready();
    expect(refreshed).toEqual([
      { issuer: issuer.url, document: 'metadata' },
      { issuer: issuer.url, document: 'keys' },
    ]);
    await advance({ seconds: 60 });
    await eventually('the refresh', () => refreshed.length > 2);
    expect(refreshed.slice(2).map(({ document }) => document)).toContain('keys');
  });

  it('receive one message for each failed fetch, of the document that failed', async () => {
    const failed = messagesOf('keys.refresh_failed');
    const issuer = await startIssuer();
    const verifier = verifierOf(issuer);
    issuer.fail('jwks', 'error');
    await expect(verifier.ready()).rejects.toThrow();
    expect(failed).toEqual([{ issuer: issuer.url, document: 'keys', error: expect.any(HttpError) }]);
    const other = await startIssuer();
    await other.goDown();
    await expect(verifierOf(other).ready()).rejects.toThrow();
    expect(failed.slice(1)).toEqual([{ issuer: other.url, document: 'metadata', error: expect.any(HttpError) }]);
  });

  it('receive nothing for a fetch that close ends', async () => {
    const failed = messagesOf('keys.refresh_failed');
    const issuer = await startIssuer();
    issuer.fail('metadata', 'hang');
    const verifier = verifierOf(issuer);
    const ready = verifier.ready();
    await eventually('the request', () => issuer.requests.metadata === 1);
    await verifier.close();
    await expect(ready).rejects.toThrow();
    expect(failed).toEqual([]);
  });

  it('receive each use of stale keys, for new and for cached tokens', async () => {
    const used = messagesOf('keys.stale_used');
    const issuer = await startIssuer();
    const verifier = verifierOf(issuer, { keys: { refreshInterval: 60 } });
    const token = await issuer.issue();
    await verifyAsync(verifier, token);
    issuer.fail('jwks', 'error');
    await advance({ seconds: 61 });
    expect(used).toEqual([]);
    await verifyAsync(verifier, await issuer.issue());
    expect(used).toEqual([{ issuer: issuer.url }]);
    await verifyAsync(verifier, token);
    expect(used).toHaveLength(2);
    issuer.heal();
    await advance({ seconds: 40 });
    await verifyAsync(verifier, await issuer.issue());
    expect(used).toHaveLength(2);
  });
});

describe('the channel of introspection', () => {
  it('receives each request, its outcome and its duration in seconds', async () => {
    jest.useRealTimers();
    const ended = messagesOf('introspection');
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    const token = issuer.issueOpaque();
    await verifyAsync(verifier, token);
    await verifyAsync(verifier, token);
    await expect(verifyAsync(verifier, 'unknown')).rejects.toThrow();
    issuer.fail('introspection', 'error');
    await expect(verifyAsync(verifier, 'another')).rejects.toThrow();
    expect(ended).toEqual([
      { issuer: issuer.url, duration: expect.any(Number), outcome: 'active', error: undefined },
      { issuer: issuer.url, duration: expect.any(Number), outcome: 'inactive', error: undefined },
      { issuer: issuer.url, duration: expect.any(Number), outcome: 'failed', error: expect.any(HttpError) },
    ]);
    for (const { duration } of ended) expect(duration).toBeGreaterThan(0);
    for (const { duration } of ended) expect(duration).toBeLessThan(60);
  });
});

describe('the channel of replayed proofs', () => {
  it('receives the request of a proof that was used before', async () => {
    const replays = messagesOf('dpop.replay');
    const app = serveDpop(scene.issuer, { store: memoryStore() });
    const proof = await scene.prove();
    expect((await present(app, scene.token, proof)).status).toBe(200);
    expect(replays).toEqual([]);
    expect((await present(app, scene.token, proof)).status).toBe(401);
    expect(replays).toEqual([{ request: expect.objectContaining({ method: 'GET' }) }]);
  });
});
