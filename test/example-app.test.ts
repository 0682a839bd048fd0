import { afterEach, describe, expect, it } from '@jest/globals';
import { startIssuer } from '../example-app/issuer.js';
import { listen } from '../example-app/listen.js';
import { run } from '../example-app/run.js';
import { readSettings } from '../example-app/settings.js';
import { request, runSteps } from '../example-app/steps.js';
import { TokenKeeper } from '../example-app/token-keeper.js';
import { cloneInThisRealm } from './one-realm.js';

cloneInThisRealm();

const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

/** A keeper by a clock that stands still until it is told otherwise, and an issuer that numbers its tokens. */
function makeKeeper(lifetime: number | undefined, refreshBefore = 30) {
  const state = { now: 1_000, fetches: 0, isDown: false };
  const keeper = new TokenKeeper(
    () => {
      state.fetches++;
      if (state.isDown) return Promise.reject(new Error('the issuer is down'));
      const answer = { access_token: `token-${state.fetches}` };
      return Promise.resolve(lifetime === undefined ? answer : { ...answer, expires_in: lifetime });
    },
    { refreshBefore, clock: () => state.now },
  );
  return { keeper, state };
}

describe('a TokenKeeper', () => {
  it('keeps a token until shortly before it expires', async () => {
    const { keeper, state } = makeKeeper(300);
    expect(await keeper.token()).toBe('token-1');
    state.now += 269;
    expect(await keeper.token()).toBe('token-1');
    state.now += 1;
    expect(await keeper.token()).toBe('token-2');
  });

  it('asks the issuer once however many callers wait', async () => {
    const { keeper, state } = makeKeeper(300);
    expect(await Promise.all([keeper.token(), keeper.token(), keeper.token()])).toEqual(Array(3).fill('token-1'));
    expect(state.fetches).toBe(1);
  });

  it('keeps a token for half its life where that is shorter than the margin', async () => {
    const { keeper, state } = makeKeeper(20);
    await keeper.token();
    state.now += 9;
    expect(await keeper.token()).toBe('token-1');
    state.now += 1;
    expect(await keeper.token()).toBe('token-2');
  });

  it('does not keep a token of which nobody said how long it lives', async () => {
    const { keeper } = makeKeeper(undefined);
    expect(await keeper.token()).toBe('token-1');
    expect(await keeper.token()).toBe('token-2');
  });

  it('goes on with a token that is still good while the issuer is down, and not a second longer', async () => {
    const { keeper, state } = makeKeeper(300);
    await keeper.token();
    state.isDown = true;
    state.now += 299;
    expect(await keeper.token()).toBe('token-1');
    state.now += 1;
    await expect(keeper.token()).rejects.toThrow('the issuer is down');
  });

  it('tries again after a fetch that failed', async () => {
    const { keeper, state } = makeKeeper(300);
    state.isDown = true;
    await expect(keeper.token()).rejects.toThrow('the issuer is down');
    state.isDown = false;
    expect(await keeper.token()).toBe('token-2');
  });

  it('fetches anew what it was told to forget', async () => {
    const { keeper } = makeKeeper(300);
    await keeper.token();
    keeper.forget();
    expect(await keeper.token()).toBe('token-2');
  });
});

describe('a step that sends a request', () => {
  const refused = () =>
    Promise.resolve(new Response(null, { status: 401, headers: { 'WWW-Authenticate': 'Bearer realm="orders"' } }));
  const fine = () => Promise.resolve(new Response('fine'));

  it.each([
    ['passes with the status', fine, { status: 200 }, true],
    ['passes with status and challenge', refused, { status: 401, challenge: /^Bearer/ }, true],
    ['fails with another status', fine, { status: 201 }, false],
    ['fails with another challenge', refused, { status: 401, challenge: /insufficient_scope/ }, false],
    ['fails without the challenge', fine, { status: 200, challenge: /^Bearer/ }, false],
    ['fails with a challenge that nobody expected', refused, { status: 401 }, false],
    ['fails where nothing answers', () => Promise.reject(new Error('refused')), { status: 200 }, false],
  ])('%s', async (_title, send, expected, passes) => {
    expect(await runSteps([request('a step', send, expected)], () => undefined)).toBe(passes);
  });

  it('is the last one where it fails', async () => {
    const lines: string[] = [];
    const steps = [
      request('one', fine, { status: 200 }),
      request('two', fine, { status: 404 }),
      request('three', fine, { status: 200 }),
    ];
    expect(await runSteps(steps, (line) => lines.push(line))).toBe(false);
    expect(lines).toEqual(['ok    one\n      200 fine', 'FAIL  two\n      expected 404, got 200 fine']);
  });
});

describe('the example', () => {
  const ports = { PORT: '0', ISSUER_PORT: '0' };

  it('walks through all its steps and ends with the status 0', async () => {
    const lines: string[] = [];
    const running = await run(readSettings(ports, ['--once']), (line) => lines.push(line));
    opened.push(running);
    expect(running.exitStatus).toBe(0);
    expect(lines.filter((line) => line.startsWith('ok '))).toHaveLength(26);
  });

  it('ends with the status 1 where a step goes otherwise than expected', async () => {
    const lines: string[] = [];
    const settings = readSettings({ ...ports, MACHINE_CLIENTS: 'somebody-else' }, ['--once']);
    const running = await run(settings, (line) => lines.push(line));
    opened.push(running);
    expect(running.exitStatus).toBe(1);
    expect(lines.join('\n')).toMatch(/FAIL {2}GET \/internal\/jobs by the worker\n\s+expected 200, got 403/);
  });

  it('serves only the API where the issuer is somebody else', async () => {
    const issuer = await startIssuer({ clients: [], resources: {} });
    opened.push(issuer);
    const settings = readSettings({ ...ports, ISSUER: issuer.url, AUDIENCE: 'https://api.example.com' }, ['--once']);
    const lines: string[] = [];
    const running = await run(settings, (line) => lines.push(line));
    opened.push(running);
    expect(running.exitStatus).toBe(0);
    expect(lines.filter((line) => line.startsWith('ok '))).toHaveLength(3);
  });

  it('serves the partner API for an issuer that is somebody else where it has credentials to ask it with', async () => {
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
    ['an id to introspect with, but no secret', { INTROSPECTION_CLIENT_ID: 'api' }, [], 'belong together'],
    [
      'credentials for the issuer that it brings itself',
      { INTROSPECTION_CLIENT_ID: 'api', INTROSPECTION_CLIENT_SECRET: 'secret' },
      [],
      'set ISSUER',
    ],
    ['a port that is none', { PORT: '70000' }, [], 'PORT must be a port'],
    ['an argument that it does not know', {}, ['--twice'], '--twice'],
  ])('does not start with %s', (_what, env, args, message) => {
    expect(() => readSettings(env, args)).toThrow(message);
  });

  it('gives way where its default port is taken, and not where the port was asked for', async () => {
    const first = await listen((_req, res) => res.end());
    opened.push(first);
    const taken = Number(new URL(first.url).port);
    const second = await listen((_req, res) => res.end(), [taken, 0]);
    opened.push(second);
    expect(second.url).not.toBe(first.url);
    await expect(listen((_req, res) => res.end(), [taken])).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});
