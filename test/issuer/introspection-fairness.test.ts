import { request, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import {
  bearer,
  cachedVerifier,
  introspectionVerifier,
  memoryStore,
  type TokenVerifier,
  trustedIssuers,
} from '../../lib/index.js';
import { listen, serve, verifyAsync } from '../support/helpers.js';
import { eventually } from '../support/time.js';

/** How many requests a verifier sends at the same time. */
const LIMIT = 100;

/**
 * A slow introspection server and a verifier for it. Tokens that start with "valid" are active. The server responds to the
 * oldest request, and to no other until the verifier has sent the next one.
 */
async function startSlowServer() {
  const waiting: { readonly res: ServerResponse; readonly active: boolean }[] = [];
  let received = 0;
  const port = await listen((req, res) => {
    void text(req).then((form) => {
      received++;
      waiting.push({ res, active: new URLSearchParams(form).get('token')?.startsWith('valid') === true });
    });
  });
  const verifier = introspectionVerifier({
    introspectionEndpoint: `http://127.0.0.1:${port}/introspect`,
    clientId: 'api',
    clientSecret: 'secret',
    audience: false,
    timeout: 60,
    store: memoryStore(),
  });
  /** Responds to requests until these have their results, and returns how many requests it received until then. */
  const answerUntil = async (results: readonly Promise<unknown>[]): Promise<number> => {
    const settled = { count: 0 };
    const settle = (): void => {
      settled.count++;
    };
    for (const result of results) result.then(settle, settle);
    while (settled.count < results.length) {
      if (waiting.length === LIMIT) {
        const { res, active } = waiting.shift() ?? {};
        res?.setHeader('Content-Type', 'application/json').end(JSON.stringify({ active }));
      }
      await setImmediate();
    }
    return received;
  };
  const isBusy = (): Promise<void> => eventually('the limit of requests', () => waiting.length === LIMIT);
  return { verifier, answerUntil, isBusy };
}

/** Verifies a token for a caller with this address; resolves to the status of the failure, or 200. */
function statusOf(verifier: TokenVerifier, token: string, remoteAddress: string): Promise<unknown> {
  return verifyAsync({ verify: (each) => verifier.verify(each, { remoteAddress }) }, token).then(
    () => 200,
    (error: unknown) => (error as { status?: number }).status,
  );
}

describe('a flood of forged tokens from one address', () => {
  it('causes no failure for valid tokens of other addresses, and delays each of them by at most one turn', async () => {
    const { verifier, isBusy, answerUntil } = await startSlowServer();
    const flood = Array.from({ length: 1_200 }, (_, i) => statusOf(verifier, `made-up-${i}`, '192.0.2.66'));
    await isBusy();
    const others = Array.from({ length: 15 }, (_, i) => statusOf(verifier, `valid-${i}`, `192.0.2.${i + 1}`));
    expect(await answerUntil(others)).toBeLessThanOrEqual(2 * LIMIT + 2 * 15);
    expect(await Promise.all(others)).toEqual(others.map(() => 200));
    await verifier.close();
    // 100 found no place, and 15 lost their places to other addresses.
    expect((await Promise.all(flood)).slice(1_085)).toEqual(Array.from({ length: 115 }, () => 503));
  });

  it('is one caller if the addresses are of one IPv6 network, whatever wraps the verifier', async () => {
    const { verifier, isBusy, answerUntil } = await startSlowServer();
    const limited = trustedIssuers([{ verifier: cachedVerifier(verifier), scopes: ['any'] }]);
    const wrapped = cachedVerifier(trustedIssuers([limited]));
    for (let i = 0; i < 3 * LIMIT; i++) void statusOf(wrapped, `made-up-${i}`, `2001:db8:0:1::${i.toString(16)}`);
    await isBusy();
    const other = statusOf(wrapped, 'valid', '2001:db8:0:2::1');
    expect(await answerUntil([other])).toBeLessThanOrEqual(2 * LIMIT + 2);
    await expect(other).resolves.toBe(200);
    await verifier.close();
  });

  it('is recognized by the address of the connection', async () => {
    const { verifier, isBusy, answerUntil } = await startSlowServer();
    const api = serve(bearer(verifier));
    let arrived = 0;
    const port = await listen((req, res) => {
      api(req, res);
      arrived++;
    });
    const send = (localAddress: string, token: string): Promise<number | undefined> =>
      new Promise((resolve) => {
        const headers = { Authorization: `Bearer ${token}` };
        const sent = request({ port, host: '127.0.0.1', localAddress, headers, agent: false }, (res) => {
          res.resume();
          resolve(res.statusCode);
        });
        sent.on('error', () => {
          resolve(undefined);
        });
        sent.end();
      });
    const flood = Array.from({ length: 3 * LIMIT }, (_, i) => send('127.0.0.1', `made-up-${i}`));
    await isBusy();
    const other = send('127.0.0.2', 'valid');
    await eventually('the last request', () => arrived === 3 * LIMIT + 1);
    expect(await answerUntil([other])).toBeLessThanOrEqual(2 * LIMIT + 2);
    await expect(other).resolves.toBe(200);
    await verifier.close();
    expect(await Promise.all(flood)).toHaveLength(3 * LIMIT);
  });
});
