import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import express from 'express';
import {
  bearer,
  ConfigurationError,
  introspectionBearer,
  jwtBearer,
  jwtVerifier,
  requireClient,
  requireMachine,
  requireScopes,
} from '../lib/index.js';
import { get } from './support/helpers.js';
import { ROOT } from './support/type-check.js';

const GOOD = { issuer: 'https://auth.example.com', audience: 'https://api.example.com', keys: { prefetch: false } };
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
  ])('%s', (_, create, fix) => {
    expect(mistake(create).fix).toMatch(fix);
  });

  it.each<[string, unknown]>([
    ['jwtBearer', jwtBearer],
    ['requireMachine', requireMachine],
    ['requireScopes', requireScopes],
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
    const isEvent = (code: string): boolean =>
      ['ERS_ON_REJECTION', 'ERS_SECOND_INSTANCE', 'ERS_AUDIENCE_IS_CLIENT_ID'].includes(code);
    for (const code of codes) expect([code, documented.includes(`${code}_RESOLVED`)]).toEqual([code, !isEvent(code)]);
  });
});
