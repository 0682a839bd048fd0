import { spawnSync } from 'node:child_process';
import { request, type RequestListener } from 'node:http';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import express from 'express';
import {
  type AccessToken,
  authSignal,
  bearer,
  type BearerOptions,
  cachedVerifier,
  ConfigurationError,
  createAccessToken,
  InvalidTokenError,
  introspectionVerifier,
  jwtVerifier,
  type JwtVerifierOptions,
  requireScopes,
  type TokenVerifier,
  trustedIssuers,
} from '../../lib/index.js';
import { startTimer } from '../../lib/util/timer.js';
import { TestIssuer } from '../../lib/testing/issuer.js';
import { get, listen, serve } from '../support/helpers.js';
import { simulateTime } from '../support/time.js';

let issuer: TestIssuer;

beforeAll(async () => {
  issuer = await TestIssuer.start();
});

afterAll(() => issuer.close());

function verifierFor(options: Partial<JwtVerifierOptions> = {}): TokenVerifier {
  return jwtVerifier({ issuer: issuer.url, audience: issuer.audience, ...options });
}

/** The signal of one request with this token. */
async function signalOf(verifier: TokenVerifier, token: string, options: BearerOptions = {}): Promise<AbortSignal> {
  let signal: AbortSignal | undefined;
  const app = serve(bearer(verifier, options), (req, _res, next) => {
    signal = authSignal(req);
    next();
  });
  expect((await get(app, token)).status).toBe(200);
  if (signal === undefined) throw new Error('the request has no signal');
  return signal;
}

function reasonOf({ aborted, reason }: AbortSignal): string | undefined {
  if (!aborted) return undefined;
  return reason instanceof InvalidTokenError ? reason.reason : 'another error';
}

/** A verifier that accepts every token, with these claims. */
function accepting(claims: Record<string, unknown>, members: Partial<TokenVerifier> = {}): TokenVerifier {
  const accessToken: AccessToken = createAccessToken({ iss: 'own', ...claims });
  return { verify: () => accessToken, ...members };
}

describe('the signal of a request', () => {
  simulateTime();

  it('aborts when the token expires, and not before', async () => {
    const signal = await signalOf(verifierFor(), await issuer.issue({ exp: issuer.now + 60 }));
    await jest.advanceTimersByTimeAsync(58_000);
    expect(reasonOf(signal)).toBeUndefined();
    await jest.advanceTimersByTimeAsync(3_000);
    expect(reasonOf(signal)).toBe('expired');
  });

  it('calls its listeners once', async () => {
    const signal = await signalOf(verifierFor(), await issuer.issue({ exp: issuer.now + 60 }));
    const listener = jest.fn();
    signal.addEventListener('abort', listener);
    await jest.advanceTimersByTimeAsync(120_000);
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it('is aborted from the start for a token that is accepted only because of the clock tolerance', async () => {
    const token = await issuer.issue({ exp: issuer.now - 2 });
    expect(reasonOf(await signalOf(verifierFor({ clockTolerance: 10 }), token))).toBe('expired');
  });

  it('aborts at an expiry that is longer away than a timer of Node can wait', async () => {
    const days = 86_400;
    const now = (): number => Date.now() / 1000;
    const signal = await signalOf(accepting({ exp: now() + 30 * days }), 'token');
    jest.advanceTimersByTime(29 * days * 1000);
    expect(reasonOf(signal)).toBeUndefined();
    jest.advanceTimersByTime(2 * days * 1000);
    expect(reasonOf(signal)).toBe('expired');
  });

  it('follows the clock of the verifier', async () => {
    let now = 1_000;
    const signal = await signalOf(accepting({ exp: 2_000 }, { clock: () => now }), 'token');
    await jest.advanceTimersByTimeAsync(1_500_000);
    expect(reasonOf(signal)).toBeUndefined();
    now = 2_000;
    await jest.advanceTimersByTimeAsync(1_000_000);
    expect(reasonOf(signal)).toBe('expired');
  });

  it('notices within an hour that the clock was changed', async () => {
    let now = 1_000;
    const signal = await signalOf(accepting({ exp: 1_000_000 }, { clock: () => now }), 'token');
    now = 1_000_001;
    await jest.advanceTimersByTimeAsync(3_600_000);
    expect(reasonOf(signal)).toBe('expired');
  });

  it('does not expire if the token does not', async () => {
    const signal = await signalOf(accepting({}), 'token');
    await jest.advanceTimersByTimeAsync(86_400_000);
    expect(reasonOf(signal)).toBeUndefined();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('leaves no timer after it aborted', async () => {
    const verifier = cachedVerifier(accepting({ exp: Date.now() / 1000 + 60 }));
    const signal = await signalOf(verifier, 'token');
    expect(jest.getTimerCount()).toBe(1);
    await verifier.invalidate?.('token');
    expect([reasonOf(signal), jest.getTimerCount()]).toEqual(['inactive', 0]);
  });
});

describe('invalidate aborts the signals of the token', () => {
  const verifiers: Readonly<Record<string, () => TokenVerifier>> = {
    'a JWT verifier': () => verifierFor(),
    'a JWT verifier without a cache': () => verifierFor({ cache: false }),
    'several issuers': () => trustedIssuers([verifierFor()]),
    'a cached verifier': () => cachedVerifier(accepting({})),
    'several issuers, one of which is an own verifier': () => trustedIssuers([accepting({}), verifierFor()]),
  };

  it.each(Object.entries(verifiers))('of %s', async (_, make) => {
    const verifier = make();
    const [token, other] = [await issuer.issue(), await issuer.issue()];
    const signals = [await signalOf(verifier, token), await signalOf(verifier, token), await signalOf(verifier, other)];
    await verifier.invalidate?.(token);
    expect(signals.map(reasonOf)).toEqual(['inactive', 'inactive', undefined]);
    await verifier.close?.();
  });

  it.each([{}, { cache: false as const }])('of an introspection verifier with %p', async (options) => {
    const introspecting = await TestIssuer.start();
    const verifier = introspectionVerifier({
      issuer: introspecting.url,
      audience: introspecting.audience,
      ...{ clientId: 'api', clientSecret: 'secret' },
      ...options,
      fetch: () => Promise.resolve(Response.json({ active: true, aud: introspecting.audience })),
      introspectionEndpoint: `${introspecting.url}/introspect`,
    });
    const signal = await signalOf(verifier, 'opaque');
    await verifier.invalidate('opaque');
    expect(reasonOf(signal)).toBe('inactive');
    await verifier.close();
    await introspecting.close();
  });

  it('also if a later request invalidates it', async () => {
    const verifier = verifierFor();
    const token = await issuer.issue();
    const signal = await signalOf(verifier, token);
    const app = serve(bearer(verifier), (_req, _res, next) => {
      Promise.resolve(verifier.invalidate?.(token)).then(() => {
        next();
      }, next);
    });
    await get(app, token);
    expect(reasonOf(signal)).toBe('inactive');
    expect(reasonOf(await signalOf(verifier, token))).toBeUndefined();
  });
});

describe('authSignal', () => {
  it('returns the same signal for the same request, and another for the next', async () => {
    const seen: AbortSignal[] = [];
    const app = serve(bearer(verifierFor()), requireScopes('orders:read'), (req, _res, next) => {
      seen.push(authSignal(req), authSignal(req));
      next();
    });
    const token = await issuer.issue({ scope: 'orders:read' });
    await get(app, token);
    await get(app, token);
    expect(new Set(seen).size).toBe(2);
    expect(seen[0]).toBe(seen[1]);
  });

  it('does not depend on the property of the request', async () => {
    const verifier = verifierFor();
    const token = await issuer.issue();
    const signal = await signalOf(verifier, token, { property: 'caller' });
    await verifier.invalidate?.(token);
    expect(reasonOf(signal)).toBe('inactive');
  });

  it('follows the last middleware that authenticated the request', async () => {
    const signals: AbortSignal[] = [];
    const collect = (req: Parameters<typeof authSignal>[0], _res: unknown, next: () => void): void => {
      signals.push(authSignal(req));
      next();
    };
    const second = bearer(accepting({}), { tokenFrom: () => undefined });
    await get(serve(bearer(verifierFor()), collect, second, collect), await issuer.issue());
    expect(signals[0]).not.toBe(signals[1]);
  });

  it('works without Express', async () => {
    const verifier = verifierFor();
    const token = await issuer.issue();
    const guard = bearer(verifier);
    let signal: AbortSignal | undefined;
    const listener: RequestListener = (req, res) => {
      guard(req, res, () => {
        signal = authSignal(req);
        res.end();
      });
    };
    const port = await listen(listener);
    await new Promise((resolve, reject) => {
      const headers = { Authorization: `Bearer ${token}` };
      request({ host: '127.0.0.1', port, headers }, (res) => res.resume().on('end', resolve))
        .on('error', reject)
        .end();
    });
    await verifier.invalidate?.(token);
    expect(signal && reasonOf(signal)).toBe('inactive');
  });

  it.each([
    ['no middleware authenticated the request', []],
    ['the request has no credentials', [bearer(accepting({}), { optional: true })]],
  ])('throws a ConfigurationError if %s', async (_, middlewares) => {
    let thrown: unknown;
    const app = express().use(...middlewares, (req, res) => {
      try {
        authSignal(req);
      } catch (error) {
        thrown = error;
      }
      res.end();
    });
    await get(app);
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect(thrown).toMatchObject({ option: 'authSignal', reason: 'not_authenticated' });
  });

  it('returns the same signal from two copies of the package, and each copy can abort it', async () => {
    jest.resetModules();
    const copy = await import('../../lib/index.js');
    expect(copy.authSignal).not.toBe(authSignal);
    const token = await issuer.issue();
    const signals: AbortSignal[] = [];
    const app = serve(bearer(verifierFor()), (req, _res, next) => {
      signals.push(authSignal(req), copy.authSignal(req));
      next();
    });
    await get(app, token);
    const other = copy.jwtVerifier({ issuer: issuer.url, audience: issuer.audience });
    await other.invalidate(token);
    await other.close();
    expect(signals[0]).toBe(signals[1]);
    expect(signals.map(reasonOf)).toEqual(['inactive', 'inactive']);
  });
});

describe('the timer of a signal', () => {
  it('keeps no process alive', () => {
    const program = `const start = ${startTimer.toString()}; start(600, () => undefined);`;
    expect(spawnSync(process.execPath, ['-e', program], { timeout: 30_000 }).status).toBe(0);
  });
});
