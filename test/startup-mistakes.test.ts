import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import express from 'express';
import {
  bearer,
  cachedVerifier,
  ConfigurationError,
  getAuth,
  introspectionBearer,
  jwtBearer,
  jwtVerifier,
  requireClaim,
  requireClient,
  requireIssuer,
  requireMachine,
  requireScopes,
  requireThat,
  trustedIssuers,
} from '../lib/index.js';
import { get } from './support/helpers.js';
import { ROOT } from './support/type-check.js';

const GOOD = { issuer: 'https://auth.example.com', audience: 'https://api.example.com', keys: { prefetch: false } };
const CLIENT = { issuer: GOOD.issuer, audience: GOOD.audience, clientId: 'api', clientSecret: 'secret' };
const INTROSPECTION = { ...GOOD, clientId: 'api', clientSecret: 'secret' };

function mistake(create: () => unknown): ConfigurationError {
  try {
    create();
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('no ConfigurationError');
}

describe('a mistake at startup causes a ConfigurationError with the fix', () => {
  it.each<[string, () => unknown, RegExp]>([
    ['an issuer with a line break', () => jwtBearer({ ...GOOD, issuer: 'https://auth.example.com\n' }), /white space/],
    ['an issuer with a space', () => jwtVerifier({ ...GOOD, issuer: ' https://auth.example.com' }), /white space/],
    ['an audience with a line break', () => jwtBearer({ ...GOOD, audience: 'api\n' }), /white space/],
    ['one of the audiences with a tab', () => jwtBearer({ ...GOOD, audience: ['api', 'other\t'] }), /white space/],
    [
      'a client id with a line break',
      () => introspectionBearer({ ...INTROSPECTION, clientId: 'api\n' }),
      /white space/,
    ],
    ['a client of a gate with a space', () => requireClient('billing '), /white space/],
    ['a client of an issuer with a space', () => requireClient({ issuer: 'a', clientId: ' b' }), /white space/],
    ['an issuer in quotes', () => jwtBearer({ ...GOOD, issuer: '"https://auth.example.com"' }), /quotes/],
    ['a bare host', () => jwtBearer({ ...GOOD, issuer: 'auth.example.com' }), /https:\/\/auth\.example\.com\?/],
    [
      'a bare host of introspection',
      () => introspectionBearer({ ...INTROSPECTION, issuer: 'a.b.c' }),
      /https:\/\/a\.b\.c/,
    ],
    [
      'a discovery URL',
      () => jwtBearer({ ...GOOD, issuer: 'https://auth.example.com/.well-known/openid-configuration' }),
      /without \/\.well-known\//,
    ],
    ['{tenantid}', () => jwtBearer({ ...GOOD, issuer: 'https://login.example.com/{tenantid}/v2.0' }), /braces/],
    ['https://undefined/', () => jwtBearer({ ...GOOD, issuer: 'https://undefined/' }), /missing/],
    ['a list of scopes in one text', () => requireScopes('a,b'), /one scope per argument/],
    ['a middleware as the verifier', () => bearer(jwtBearer(GOOD) as never), /mount it as it is/],
    ['a factory as the verifier', () => bearer(jwtVerifier as never), /jwtVerifier\(/],
    ['a misspelled option', () => jwtBearer({ ...GOOD, clockTolerence: 1 } as never), /Did you mean clockTolerance\?/],
    ['an issuer with a zero-width space', () => jwtBearer({ ...GOOD, issuer: `${GOOD.issuer}\u200b` }), /white space/],
    [
      'an issuer with a line break inside',
      () => jwtBearer({ ...GOOD, issuer: 'https://a.exa\nmple.com' }),
      /line breaks/,
    ],
    ['an issuer with one quote', () => jwtBearer({ ...GOOD, issuer: `${GOOD.issuer}"` }), /absolute URL/],
    ['an issuer that is "undefined"', () => jwtBearer({ ...GOOD, issuer: 'undefined' }), /A setting is missing/],
    ['an issuer from an object', () => jwtBearer({ ...GOOD, issuer: '[object Object]' }), /A setting is missing/],
    [
      'a host from a setting',
      () => jwtBearer({ ...GOOD, issuer: 'https://undefined.example.com/' }),
      /setting .* missing/,
    ],
    ['a path from a setting', () => jwtBearer({ ...GOOD, issuer: `${GOOD.issuer}/realms/null` }), /setting .* missing/],
    ['a placeholder', () => jwtBearer({ ...GOOD, issuer: 'https://<tenant>.example.com' }), /braces/],
    ['localhost without a scheme', () => jwtBearer({ ...GOOD, issuer: 'localhost:8080' }), /http:\/\/localhost:8080\?/],
    ['an issuer without //', () => jwtBearer({ ...GOOD, issuer: 'https:auth.example.com' }), /absolute URL/],
    ['an issuer with a query', () => jwtBearer({ ...GOOD, issuer: `${GOOD.issuer}?a=1` }), /Remove user, query/],
    ['an issuer that is a promise', () => jwtBearer({ ...GOOD, issuer: Promise.resolve('') as never }), /Await it/],
    ['an audience that is "undefined"', () => jwtBearer({ ...GOOD, audience: ['undefined'] }), /A setting is missing/],
    ['an audience that is "false"', () => jwtBearer({ ...GOOD, audience: 'false' }), /false without quotes/],
    ['audiences in one text', () => jwtBearer({ ...GOOD, audience: 'https://a.b,https://c.d' }), /an array/],
    ['an audience in quotes', () => jwtBearer({ ...GOOD, audience: '"api"' }), /quotes/],
    ['a jwksUri with a missing part', () => jwtBearer({ ...GOOD, jwksUri: 'https://undefined/jwks' }), /missing/],
    ['a baseUrl with a missing part', () => jwtBearer({ ...GOOD, baseUrl: 'https://undefined' }), /missing/],
    ['a number as a text', () => jwtBearer({ ...GOOD, clockTolerance: '5' as never }), /Number\("5"\)/],
    ['milliseconds', () => jwtBearer({ ...GOOD, keys: { timeout: 5000 } }), /Did you mean 5\?/],
    ['a flag as a text', () => jwtBearer({ ...GOOD, optional: 'true' as never }), /true without quotes/],
    ['a clock in milliseconds', () => jwtBearer({ ...GOOD, clock: Date.now }), /Date\.now\(\) \/ 1000/],
    ['the path of a key', () => jwtBearer({ ...GOOD, publicKey: '/etc/key.pem' }), /readFileSync/],
    [
      'a client of Redis as a store',
      () => jwtBearer({ ...GOOD, keySnapshot: { sendCommand: () => undefined } as never }),
      /redisStore\(client\)/,
    ],
    [
      'an option of bearer for a verifier',
      () => jwtVerifier({ ...GOOD, onRejection: () => 1 } as never),
      /bearer\(verifier/,
    ],
    [
      'an option of a verifier for bearer',
      () => bearer(jwtVerifier(GOOD), { audience: 'a' } as never),
      /to the verifier/,
    ],
    ['onError', () => jwtBearer({ ...GOOD, onError: () => undefined } as never), /Did you mean onRejection\?/],
    [
      'a secret with a line break',
      () => introspectionBearer({ ...INTROSPECTION, clientSecret: 's3cr3t\n' }),
      /white space/,
    ],
    [
      'a secret that is "undefined"',
      () => introspectionBearer({ ...INTROSPECTION, clientSecret: 'undefined' }),
      /missing/,
    ],
    ['a client id in quotes', () => introspectionBearer({ ...INTROSPECTION, clientId: '"api"' }), /quotes/],
    ['a promise of a verifier', () => bearer(Promise.resolve() as never), /Await it/],
    ['clients in an array', () => requireClient(['a', 'b'] as never), /requireClient\(\.\.\.clients\)/],
    ['a client that is "undefined"', () => requireClient('undefined'), /A setting is missing/],
    ['issuers in an array', () => requireIssuer([GOOD.issuer] as never), /requireIssuer\(\.\.\.issuers\)/],
    ['the issuer of a gate with a line break', () => requireIssuer(`${GOOD.issuer}\n`), /white space/],
    ['scopes in an array', () => requireScopes(['a', 'b'] as never), /requireScopes\(\.\.\.scopes\)/],
    ['a scope that is "undefined"', () => requireScopes('undefined'), /A setting is missing/],
    ['a verifier without an array', () => trustedIssuers(jwtVerifier(GOOD) as never), /trustedIssuers\(\[verifier\]\)/],
    [
      'verifiers without an array',
      () => trustedIssuers(jwtVerifier(GOOD) as never, jwtVerifier(GOOD)),
      /Pass one array/,
    ],
    ['a factory in place of a resolver', () => trustedIssuers(jwtVerifier as never), /Call it/],
    ['a middleware in place of a resolver', () => trustedIssuers(jwtBearer(GOOD) as never), /not a verifier/],
    ['a promise of a verifier in a list', () => trustedIssuers([Promise.resolve()] as never), /Await it/],
    ['a gate as a predicate', () => requireThat(requireScopes('a') as never), /middleware of its own/],
    ['a gate as a value', () => requireClaim('a', requireScopes('a') as never), /middleware of its own/],
    ['getAuth without a request', () => getAuth(undefined as never), /Mount jwtBearer/],
  ])('%s', (_, create, fix) => {
    expect(mistake(create).fix).toMatch(fix);
  });

  it('that shows what was passed: items, holes, classes, and characters that nobody sees', () => {
    const gotFor = (options: object): string => mistake(() => jwtBearer({ ...GOOD, ...options })).got;
    // eslint-disable-next-line no-sparse-arrays -- this is the mistake
    expect(gotFor({ audience: ['a', , 'b', 'c'] })).toBe('an array of 4: "a", undefined, "b", …');
    expect(gotFor({ audience: new Set(['a']) })).toBe('an object of the class Set');
    expect(gotFor({ audience: Promise.resolve('a') })).toBe('a promise');
    expect(gotFor({ audience: '\ufeffapi\u00a0\u202e' })).toBe('"\\ufeffapi\\u00a0\\u202e"');
    expect(gotFor({ secret: Promise.resolve('a') })).toBe('a promise');
  });

  it.each<[string, unknown]>([
    ['jwtBearer', jwtBearer],
    ['requireMachine', requireMachine],
    ['bearer', bearer],
    ['trustedIssuers', trustedIssuers],
    ['requireScopes', requireScopes],
    ['jwtVerifier', jwtVerifier],
    ['cachedVerifier', cachedVerifier],
  ])('a function that was not called, when the first request arrives: %s', async (name, middleware) => {
    const app = express();
    app.use(middleware as express.RequestHandler);
    const errors: unknown[] = [];
    app.use(((error, _req, res, _next) => {
      errors.push(error);
      res.sendStatus(500);
    }) as express.ErrorRequestHandler);
    expect((await get(app)).status).toBe(500);
    expect(errors).toMatchObject([{ name: 'ConfigurationError', fix: expect.stringContaining(`app.use(${name}(`) }]);
  });
});

describe('a middleware with a mistake in its own options', () => {
  const realm = 'two\nlines';

  it.each([
    ['jwtBearer', (fetch: typeof globalThis.fetch) => jwtBearer({ ...GOOD, keys: {}, fetch, realm })],
    ['introspectionBearer', (fetch: typeof globalThis.fetch) => introspectionBearer({ ...CLIENT, fetch, realm })],
  ])('of %s sends no request', async (_name, create) => {
    const urls: unknown[] = [];
    const fetch = (url: unknown): Promise<Response> => {
      urls.push(url);
      return Promise.reject(new TypeError('fetch failed'));
    };
    expect(mistake(() => create(fetch)).option).toMatch(/realm/);
    // The prefetch starts in the next turn of the event loop.
    await nextTurn();
    await nextTurn();
    expect(urls).toEqual([]);
  });
});

describe('the process warnings', () => {
  const sources = readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(ROOT, 'lib', file), 'utf8'));
  const codes = new Set(sources.flatMap((source) => [...source.matchAll(/\bERS_[A-Z_]+/g)].map(([code]) => code)));
  const headings = [...readFileSync(join(ROOT, 'docs/errors.md'), 'utf8').matchAll(/^### (.*ERS_.*)$/gm)];
  const documented = headings.flatMap(([, text = '']) =>
    [...text.matchAll(/`(ERS_[A-Z_]+)`/g)].map(([, code]) => code),
  );

  it('have a section each in docs/errors.md', () => {
    const problems = documented.filter((code) => code?.endsWith('_RESOLVED') === false);
    expect(problems.sort()).toEqual([...codes].sort());
  });

  it('that can end have a code for that', () => {
    const events = [
      'ON_REJECTION',
      'SECOND_INSTANCE',
      'AUDIENCE_IS_CLIENT_ID',
      'SUSPICIOUS_OPTION',
      'EXP_IN_MILLISECONDS',
    ];
    const isEvent = (code: string): boolean => events.includes(code.slice('ERS_'.length));
    for (const code of codes) expect([code, documented.includes(`${code}_RESOLVED`)]).toEqual([code, !isEvent(code)]);
  });
});
