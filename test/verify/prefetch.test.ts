import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, jest } from '@jest/globals';
import {
  introspectionBearer,
  introspectionVerifier,
  jwtBearer,
  jwtVerifier,
  type JwtVerifierOptions,
  type Middleware,
  trustedIssuers,
} from '../../lib/index.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import { get, serve, startIssuer, verifyAsync } from '../support/helpers.js';
import { optionsFor } from '../support/introspection.js';
import { advance, eventually, simulateTime, watchedFetch } from '../support/time.js';
import { codesOf, type RecordedWarning, recordWarnings } from '../support/warnings.js';

simulateTime();

function optionsOf(issuer: TestIssuer, options: Partial<JwtVerifierOptions> = {}): JwtVerifierOptions {
  return { issuer: issuer.url, audience: issuer.audience, fetch: watchedFetch, ...options };
}

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await setImmediate();
};

/** Verifiers of other tests may cause other warnings. */
const codesAbout = (code: string, warnings: readonly RecordedWarning[]): string[] =>
  codesOf(warnings).filter((each) => each === code);

/** A fetch whose metadata takes 4 of the 5 seconds, and the signals of its requests. */
function slowMetadata() {
  const signals: (AbortSignal | undefined)[] = [];
  const slow: JwtVerifierOptions['fetch'] = async (url, init) => {
    signals.push(init.signal);
    if (!url.endsWith('/jwks')) await new Promise((resolve) => setTimeout(resolve, 4_000));
    return fetch(url, init);
  };
  return { signals, slow };
}

describe('prefetch', () => {
  it.each<[string, (issuer: TestIssuer) => unknown]>([
    ['jwtVerifier', (issuer) => jwtVerifier(optionsOf(issuer))],
    ['jwtBearer', (issuer) => jwtBearer(optionsOf(issuer))],
  ])('of %s fetches metadata and keys before the first token, and each once', async (_, create) => {
    const issuer = await startIssuer();
    create(issuer);
    expect(issuer.requests).toMatchObject({ metadata: 0, jwks: 0 });
    await eventually('the keys', () => issuer.requests.jwks === 1);
    await turns(50);
    expect(issuer.requests).toMatchObject({ metadata: 1, jwks: 1 });
  });

  it.each<[string, (issuer: TestIssuer) => unknown]>([
    ['introspectionVerifier', (issuer) => introspectionVerifier(optionsFor(issuer, { keys: {} }))],
    ['introspectionBearer', (issuer) => introspectionBearer(optionsFor(issuer, { keys: undefined }))],
  ])('of %s fetches the metadata', async (_, create) => {
    const issuer = await startIssuer();
    create(issuer);
    await eventually('the metadata', () => issuer.requests.metadata === 1);
    await turns(50);
    expect(issuer.requests).toMatchObject({ metadata: 1, jwks: 0, introspection: 0 });
  });

  it('of signed responses fetches their keys', async () => {
    const issuer = await startIssuer();
    introspectionVerifier(optionsFor(issuer, { signedResponse: true, keys: { prefetch: true } }));
    await eventually('the keys', () => issuer.requests.jwks === 1);
    expect(issuer.requests).toMatchObject({ metadata: 1, jwks: 1 });
  });

  it('shares its fetches with the first requests', async () => {
    const issuer = await startIssuer();
    const app = serve(jwtBearer(optionsOf(issuer)));
    const responses = await Promise.all(Array.from({ length: 5 }, async () => get(app, await issuer.issue())));
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(issuer.requests).toMatchObject({ metadata: 1, jwks: 1 });
  });

  it('is turned off by keys: { prefetch: false }', async () => {
    const issuer = await startIssuer();
    jwtVerifier(optionsOf(issuer, { keys: { prefetch: false } }));
    introspectionVerifier(optionsFor(issuer, { keys: { prefetch: false } }));
    await turns(50);
    expect(issuer.requests).toMatchObject({ metadata: 0, jwks: 0 });
  });

  it('sends no request for a verifier that is closed immediately', async () => {
    const issuer = await startIssuer();
    await jwtVerifier(optionsOf(issuer)).close();
    await turns(50);
    expect(issuer.requests).toMatchObject({ metadata: 0, jwks: 0 });
  });

  it('never throws, and reports a wrong issuer at startup', async () => {
    const warnings = recordWarnings();
    const rejections: unknown[] = [];
    const note = (reason: unknown): void => void rejections.push(reason);
    process.on('unhandledRejection', note);
    const issuer = await startIssuer();
    issuer.metadata.issuer = `${issuer.url}/`;
    const verifiers = [jwtVerifier(optionsOf(issuer)), introspectionVerifier(optionsFor(issuer, { keys: {} }))];
    await eventually('the warnings', () => codesAbout('ERS_ISSUER_MISMATCH', warnings).length === 2);
    expect(codesAbout('ERS_ISSUER_MISMATCH', warnings)).toHaveLength(2);
    for (const verifier of verifiers) await verifier.close();
    process.off('unhandledRejection', note);
    expect(rejections).toEqual([]);
  });

  it('ends after keys.timeout altogether if nobody waits for it', async () => {
    const issuer = await startIssuer();
    issuer.fail('jwks', 'hang');
    const { signals, slow } = slowMetadata();
    const verifier = jwtVerifier(optionsOf(issuer, { fetch: slow }));
    await turns(2);
    await jest.advanceTimersByTimeAsync(4_000);
    await eventually('the request for the keys', () => issuer.requests.jwks === 1);
    await jest.advanceTimersByTimeAsync(1_001);
    await eventually('the end', () => signals[1]?.aborted === true);
    await verifier.close();
  });

  it('that is not complete, and the requests after it, cause one warning with the address', async () => {
    const warnings = recordWarnings();
    const issuer = await startIssuer();
    issuer.fail('metadata', 'hang');
    const verifier = jwtVerifier(optionsOf(issuer));
    await eventually('the prefetch', () => issuer.requests.metadata > 0);
    await jest.advanceTimersByTimeAsync(5_001);
    await eventually('the warning', () => codesAbout('ERS_UNREACHABLE', warnings).length === 1);
    for (let attempts = issuer.requests.metadata; issuer.requests.metadata < attempts + 2;) {
      await jest.advanceTimersByTimeAsync(1_000);
      await turns(50);
    }
    await jest.advanceTimersByTimeAsync(5_001);
    await turns(50);
    expect(warnings).toEqual([
      { code: 'ERS_UNREACHABLE', message: expect.stringContaining(`${issuer.url}/.well-known/`) },
    ]);
    await verifier.close();
  });

  it('continues as long as a request waits for it', async () => {
    const issuer = await startIssuer();
    issuer.fail('jwks', 'hang');
    const { signals, slow } = slowMetadata();
    const verifier = jwtVerifier(optionsOf(issuer, { fetch: slow }));
    await turns(2);
    const waiting = verifyAsync(verifier, await issuer.issue());
    waiting.catch(() => undefined);
    await jest.advanceTimersByTimeAsync(4_000);
    await eventually('the request for the keys', () => issuer.requests.jwks === 1);
    await jest.advanceTimersByTimeAsync(3_000);
    expect(signals[1]?.aborted).toBe(false);
    await jest.advanceTimersByTimeAsync(2_001);
    await expect(waiting).rejects.toMatchObject({ status: 503 });
    await verifier.close();
  });

  it.each<[string, 'metadata' | 'jwks', (issuer: TestIssuer) => Middleware, (issuer: TestIssuer) => Promise<string>]>([
    ['metadata', 'metadata', (issuer) => jwtBearer(optionsOf(issuer)), (issuer) => issuer.issue()],
    ['keys', 'jwks', (issuer) => jwtBearer(optionsOf(issuer)), (issuer) => issuer.issue()],
    [
      'metadata of introspection',
      'metadata',
      (issuer) => introspectionBearer(optionsFor(issuer, { keys: {} })),
      (issuer) => Promise.resolve(issuer.issueOpaque()),
    ],
  ])('that failed does not delay the first request, which tries again: %s', async (_, document, create, issue) => {
    const issuer = await startIssuer();
    issuer.fail(document, 'error');
    const warnings = recordWarnings();
    const app = serve(create(issuer));
    await eventually('the failure', () => codesAbout('ERS_STATUS', warnings).length === 1);
    issuer.heal();
    const statuses = await Promise.all([1, 2, 3].map(async () => (await get(app, await issue(issuer))).status));
    expect(statuses).toEqual([200, 200, 200]);
  });

  it('that fails while the first requests wait for it does not fail them', async () => {
    const issuer = await startIssuer();
    let fail: () => void = () => undefined;
    const offline = new Promise<never>((_, reject) => {
      fail = () => {
        reject(new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'ENOTFOUND' }) }));
      };
    });
    let calls = 0;
    const verifier = jwtVerifier(optionsOf(issuer, { fetch: (...call) => (calls++ === 0 ? offline : fetch(...call)) }));
    await eventually('the prefetch', () => calls === 1);
    const tokens = [await issuer.issue({ sub: 'a' }), await issuer.issue({ sub: 'b' })];
    const waiting = Promise.all(tokens.map((token) => verifyAsync(verifier, token)));
    await turns(2);
    fail();
    expect((await waiting).map(({ subject }) => subject)).toEqual(['a', 'b']);
    expect(issuer.requests).toMatchObject({ metadata: 1, jwks: 1 });
  });

  it('that failed permits one attempt, and then requests do not add to the load', async () => {
    const issuer = await startIssuer();
    issuer.fail('jwks', 'error');
    const warnings = recordWarnings();
    const verifier = jwtVerifier(optionsOf(issuer));
    await eventually('the failure', () => codesAbout('ERS_STATUS', warnings).length === 1);
    for (let i = 0; i < 3; i++) {
      await expect(verifyAsync(verifier, await issuer.issue())).rejects.toMatchObject({ status: 503 });
    }
    expect(issuer.requests.jwks).toBe(2);
    await verifier.close();
  });

  it.each(['metadata', 'jwks'] as const)(
    'that failed keeps the pause that the server requested: %s',
    async (document) => {
      const issuer = await startIssuer();
      issuer.fail(document, (res) => res.writeHead(429, { 'Retry-After': '7' }).end());
      const warnings = recordWarnings();
      const verifier = jwtVerifier(optionsOf(issuer));
      await eventually('the failure', () => codesAbout('ERS_STATUS', warnings).length === 1);
      issuer.heal();
      await expect(verifyAsync(verifier, await issuer.issue())).rejects.toMatchObject({ status: 503, retryAfter: 7 });
      expect(issuer.requests[document]).toBe(1);
      await verifier.close();
    },
  );

  it('is not done for the verifiers of a resolver, which a token creates', async () => {
    const issuer = await startIssuer();
    const verifier = trustedIssuers((iss) => (iss === issuer.url ? jwtVerifier(optionsOf(issuer)) : undefined));
    await expect(verifyAsync(verifier, await issuer.issue({ exp: 1 }))).rejects.toThrow();
    await turns(50);
    expect(issuer.requests).toMatchObject({ metadata: 0, jwks: 0 });
  });
});

describe('a second instance for an issuer', () => {
  it('causes one warning if it is created while requests are served', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    const token = await issuer.issue();
    for (let i = 0; i < 3; i++) await verifyAsync(jwtVerifier(optionsOf(issuer)), token);
    expect(codesAbout('ERS_SECOND_INSTANCE', warnings)).toHaveLength(1);
    expect(warnings.map(({ message }) => message)).toContainEqual(expect.stringContaining(issuer.url));
  });

  it('causes a warning as one middleware per request', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    const app = serve((req, res, next) => {
      jwtBearer(optionsOf(issuer))(req, res, next);
    });
    for (let i = 0; i < 3; i++) expect((await get(app, await issuer.issue())).status).toBe(200);
    expect(codesAbout('ERS_SECOND_INSTANCE', warnings)).toHaveLength(1);
    expect(warnings.map(({ message }) => message)).toContainEqual(expect.stringMatching(/^jwtBearer /));
  });

  it('causes no warning for another issuer, or after close', async () => {
    const [one, two] = [await startIssuer(), await startIssuer()];
    const warnings = recordWarnings();
    const first = jwtVerifier(optionsOf(one));
    await verifyAsync(first, await one.issue());
    jwtVerifier(optionsOf(two));
    introspectionVerifier(optionsFor(one));
    await first.close();
    jwtVerifier(optionsOf(one));
    expect(codesAbout('ERS_SECOND_INSTANCE', warnings)).toEqual([]);
  });

  it('causes no warning for the verifiers of a resolver', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    const token = await issuer.issue();
    const resolvers = [() => optionsOf(issuer), () => jwtVerifier(optionsOf(issuer))];
    for (const resolver of resolvers) {
      const verifier = trustedIssuers(async () => {
        await setImmediate();
        return resolver();
      });
      await verifyAsync(verifier, token);
    }
    expect(codesAbout('ERS_SECOND_INSTANCE', warnings)).toEqual([]);
  });
});

describe('an audience that is the client id of the same options', () => {
  it('causes a warning at startup', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    introspectionVerifier(optionsFor(issuer, { audience: ['https://api.example.com', 'api'] }));
    introspectionBearer(optionsFor(issuer, { audience: 'api' }));
    introspectionVerifier(optionsFor(issuer, { audience: 'https://api.example.com' }));
    introspectionVerifier(optionsFor(issuer, { audience: false }));
    expect(codesAbout('ERS_AUDIENCE_IS_CLIENT_ID', warnings)).toHaveLength(2);
    expect(warnings[1]?.message).toContain('introspectionBearer: audience and clientId are both "api"');
  });
});

describe('health', () => {
  it('says whether tokens can be verified, and why not', async () => {
    const issuer = await startIssuer();
    const verifier = jwtVerifier(optionsOf(issuer, { keys: { refreshInterval: 60, maxStale: 60 } }));
    expect(verifier.health()).toMatchObject({ isReady: false, keys: { state: 'unavailable' } });
    await verifier.ready();
    expect(verifier.health()).toMatchObject({
      isReady: true,
      keys: { state: 'fresh', usableUntil: expect.any(Number) },
    });
    expect(verifier.health().keys.lastError).toBeUndefined();
    issuer.fail('jwks', 'error');
    await advance({ seconds: 70 });
    expect(verifier.health()).toMatchObject({
      isReady: true,
      keys: { state: 'stale', lastError: { failure: 'status', status: 500 } },
    });
    await advance({ seconds: 60 });
    expect(verifier.health()).toMatchObject({ isReady: false, keys: { lastError: { status: 500 } } });
    expect(trustedIssuers([verifier]).health().isReady).toBe(false);
    await verifier.close();
  });

  it('has the last failure of introspection', async () => {
    const issuer = await startIssuer();
    const verifier = introspectionVerifier(optionsFor(issuer, { keys: {} }));
    await verifier.ready();
    issuer.fail('introspection', 'error');
    await expect(verifyAsync(verifier, 'token')).rejects.toThrow();
    const lastError = expect.objectContaining({ status: 500 });
    expect(verifier.health()).toMatchObject({
      isReady: true,
      introspection: { state: 'unavailable', failures: 1, lastError },
    });
    issuer.heal();
    await verifyAsync(verifier, issuer.issueOpaque());
    expect(verifier.health().introspection).toEqual({ state: 'available', failures: 0 });
  });
});
