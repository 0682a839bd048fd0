import { afterEach, describe, expect, it } from '@jest/globals';
import { assertProtected } from 'express-resource-server/testing';
import { createApi } from '../../example-app/api.js';
import { startIssuer } from '../../example-app/issuer.js';
import { listen } from '../../example-app/listen.js';
import { run } from '../../example-app/run.js';
import { readSettings } from '../../example-app/settings.js';
import { request, runSteps } from '../../example-app/steps.js';
import { TokenCache } from '../../example-app/token-cache.js';
import { cloneInThisRealm } from '../support/one-realm.js';

cloneInThisRealm();

const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

/** A cache with a simulated clock, and an issuer that numbers its tokens. */
function makeCache(lifetime: number | undefined, refreshBefore = 30) {
  const state = { now: 1_000, fetches: 0, isDown: false };
  const cache = new TokenCache(
    () => {
      state.fetches++;
      if (state.isDown) return Promise.reject(new Error('the issuer is down'));
      const answer = { access_token: `token-${state.fetches}` };
      return Promise.resolve(lifetime === undefined ? answer : { ...answer, expires_in: lifetime });
    },
    { refreshBefore, clock: () => state.now },
  );
  return { cache, state };
}

describe('TokenCache', () => {
  it('caches a token until shortly before it expires', async () => {
    const { cache, state } = makeCache(300);
    expect(await cache.token()).toBe('token-1');
    state.now += 269;
    expect(await cache.token()).toBe('token-1');
    state.now += 1;
    expect(await cache.token()).toBe('token-2');
  });

  it('fetches one token for concurrent callers', async () => {
    const { cache, state } = makeCache(300);
    expect(await Promise.all([cache.token(), cache.token(), cache.token()])).toEqual(Array(3).fill('token-1'));
    expect(state.fetches).toBe(1);
  });

  it('caches a token for half its lifetime if the lifetime is shorter than the margin', async () => {
    const { cache, state } = makeCache(20);
    await cache.token();
    state.now += 9;
    expect(await cache.token()).toBe('token-1');
    state.now += 1;
    expect(await cache.token()).toBe('token-2');
  });

  it('does not cache a token without expires_in', async () => {
    const { cache } = makeCache(undefined);
    expect(await cache.token()).toBe('token-1');
    expect(await cache.token()).toBe('token-2');
  });

  it('returns the cached token while the issuer is down, until the token expires', async () => {
    const { cache, state } = makeCache(300);
    await cache.token();
    state.isDown = true;
    state.now += 299;
    expect(await cache.token()).toBe('token-1');
    state.now += 1;
    await expect(cache.token()).rejects.toThrow('the issuer is down');
  });

  it('fetches again after a failed fetch', async () => {
    const { cache, state } = makeCache(300);
    state.isDown = true;
    await expect(cache.token()).rejects.toThrow('the issuer is down');
    state.isDown = false;
    expect(await cache.token()).toBe('token-2');
  });

  it('fetches a new token after invalidate()', async () => {
    const { cache } = makeCache(300);
    await cache.token();
    cache.invalidate();
    expect(await cache.token()).toBe('token-2');
  });
});

describe('a step with request()', () => {
  const rejected = () =>
    Promise.resolve(new Response(null, { status: 401, headers: { 'WWW-Authenticate': 'Bearer realm="orders"' } }));
  const ok = () => Promise.resolve(new Response('fine'));

  it.each([
    ['passes with the expected status', ok, { status: 200 }, true],
    ['passes with the expected status and challenge', rejected, { status: 401, challenge: /^Bearer/ }, true],
    ['fails with another status', ok, { status: 201 }, false],
    ['fails with another challenge', rejected, { status: 401, challenge: /insufficient_scope/ }, false],
    ['fails without the challenge', ok, { status: 200, challenge: /^Bearer/ }, false],
    ['fails with an unexpected challenge', rejected, { status: 401 }, false],
    ['fails without a response', () => Promise.reject(new Error('refused')), { status: 200 }, false],
  ])('%s', async (_title, send, expected, passes) => {
    expect(await runSteps([request('a step', send, expected)], () => undefined)).toBe(passes);
  });

  it('is the last one that runs if it fails', async () => {
    const lines: string[] = [];
    const steps = [
      request('one', ok, { status: 200 }),
      request('two', ok, { status: 404 }),
      request('three', ok, { status: 200 }),
    ];
    expect(await runSteps(steps, (line) => lines.push(line))).toBe(false);
    expect(lines).toEqual(['ok    one\n      200 fine', 'FAIL  two\n      expected 404, got 200 fine']);
  });
});

describe('the example app', () => {
  const ports = { PORT: '0', ISSUER_PORT: '0' };

  it('protects every route except /health', () => {
    const options = { issuer: 'https://auth.example.com', audience: 'https://api.example.com' };
    const api = createApi({ ...options, machineClients: ['worker'] });
    expect(assertProtected(api, { except: ['/health'] })).toMatchObject({ notExamined: [] });
    expect(() => assertProtected(api)).toThrow(/:\nGET \/health$/);
  });

  it('runs all steps and exits with 0', async () => {
    const lines: string[] = [];
    const running = await run(readSettings(ports, ['--once']), (line) => lines.push(line));
    opened.push(running);
    expect(running.exitStatus).toBe(0);
    expect(lines.filter((line) => line.startsWith('ok '))).toHaveLength(26);
  });

  it('exits with 1 if a step has an unexpected result', async () => {
    const lines: string[] = [];
    const settings = readSettings({ ...ports, MACHINE_CLIENTS: 'somebody-else' }, ['--once']);
    const running = await run(settings, (line) => lines.push(line));
    opened.push(running);
    expect(running.exitStatus).toBe(1);
    expect(lines.join('\n')).toMatch(/FAIL {2}GET \/internal\/jobs by the worker\n\s+expected 200, got 403/);
  });

  it('starts only the API for an external issuer', async () => {
    const issuer = await startIssuer({ clients: [], resources: {} });
    opened.push(issuer);
    const settings = readSettings({ ...ports, ISSUER: issuer.url, AUDIENCE: 'https://api.example.com' }, ['--once']);
    const lines: string[] = [];
    const running = await run(settings, (line) => lines.push(line));
    opened.push(running);
    expect(running.exitStatus).toBe(0);
    expect(lines.filter((line) => line.startsWith('ok '))).toHaveLength(3);
  });

  it('serves the partner API for an external issuer if it has credentials for introspection', async () => {
    const issuer = await startIssuer({ clients: [], resources: {} });
    opened.push(issuer);
    const lines: string[] = [];
    const external = { ISSUER: issuer.url, AUDIENCE: 'https://api.example.com' };
    const credentials = { INTROSPECTION_CLIENT_ID: 'api', INTROSPECTION_CLIENT_SECRET: 'secret' };
    const settings = readSettings({ ...ports, ...external, ...credentials }, ['--once']);
    const running = await run(settings, (line) => lines.push(line));
    opened.push(running);
    expect(running.exitStatus).toBe(0);
    expect(lines.at(-1)).toContain('401 WWW-Authenticate: Bearer realm="partner"');
  });

  it.each([
    ['an issuer without an audience', { ISSUER: 'https://auth.example.com' }, [], 'ISSUER and AUDIENCE'],
    ['a client id for introspection without a secret', { INTROSPECTION_CLIENT_ID: 'api' }, [], 'belong together'],
    [
      'credentials for the embedded issuer',
      { INTROSPECTION_CLIENT_ID: 'api', INTROSPECTION_CLIENT_SECRET: 'secret' },
      [],
      'set ISSUER',
    ],
    ['an invalid port', { PORT: '70000' }, [], 'PORT must be a port'],
    ['an unknown argument', {}, ['--twice'], '--twice'],
  ])('does not start with %s', (_what, env, args, message) => {
    expect(() => readSettings(env, args)).toThrow(message);
  });

  it('uses another port if the default port is in use, but not if the port was configured', async () => {
    const first = await listen((_req, res) => res.end());
    opened.push(first);
    const taken = Number(new URL(first.url).port);
    const second = await listen((_req, res) => res.end(), [taken, 0]);
    opened.push(second);
    expect(second.url).not.toBe(first.url);
    await expect(listen((_req, res) => res.end(), [taken])).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});
