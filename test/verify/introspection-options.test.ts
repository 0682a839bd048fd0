import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import {
  ConfigurationError,
  introspectionBearer,
  introspectionVerifier,
  type IntrospectionVerifierOptions,
  memoryStore,
} from '../../lib/index.js';
import { BAD } from '../support/bad-options.js';

const PRIVATE_KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString();

const good: IntrospectionVerifierOptions = {
  issuer: 'https://as.example.com',
  clientId: 'api',
  clientSecret: 'hush',
  audience: 'https://api.example.com',
};

const ANY = [null, Number.NaN, Symbol('s'), 1n, true, [], {}];
const NO_NUMBER = [null, Number.NaN, '5', [5], {}, true, Number.POSITIVE_INFINITY, () => 5];

const BAD_INTROSPECTION: Record<string, readonly unknown[]> = {
  ...Object.fromEntries(
    ['issuer', 'audience', 'clientIdClaims', 'scopeClaims', 'fetch', 'allowInsecureHttp', 'clock'].map((name) => [
      name,
      BAD[name] ?? [],
    ]),
  ),
  introspectionEndpoint: [
    ...ANY,
    ...['', 'introspect', '/introspect', 'http://as.example.com/introspect', 'ftp://as.example.com/', 'file:///x'],
    ...['https://user:hush@as.example.com/', 'data:,{}', new URL('https://as.example.com/introspect')],
  ],
  clientId: [...ANY, '', 1, () => 'api'],
  clientSecret: [...ANY, '', 1, new Uint8Array(4)],
  clientAuthentication: [
    ...ANY,
    ...['', 'basic', 'none', 'private_key_jwt', 'CLIENT_SECRET_BASIC'],
    ...[
      { privateKey: 'hush', algorithm: 'ES256' },
      { privateKey: {}, algorithm: 'ES256' },
    ],
    ...[{ privateKey: { kty: 'oct', k: 'AAAA' }, algorithm: 'ES256' }, { privateKey: PRIVATE_KEY }],
    ...[{ privateKey: 'hush' }, { privateKey: '', algorithm: 'ES256' }, { privateKey: 1, algorithm: 'ES256' }],
    ...[
      { privateKey: null, algorithm: 'ES256' },
      { privateKey: 'hush', algorithm: 'HS256' },
    ],
    ...[{ privateKey: 'hush', algorithm: 'none' }, { algorithm: 'ES256' }, { bearerToken: 'hush' }],
    ...[
      { bearerToken: () => 't', algorithm: 'ES256' },
      { bearerToken: () => 't', other: 1 },
    ],
    { bearerToken: () => 't', privateKey: 'hush', algorithm: 'ES256' },
  ],
  signedResponse: [null, 'true', 1, 0, {}, []],
  timeout: [...NO_NUMBER, 0, 0.09, 61],
  maxBytes: [...NO_NUMBER, 1_023, 1_024.5, 16_777_217],
  maxStale: [...NO_NUMBER, -1, 86_401],
  store: [...ANY, 'redis', { get: () => 1 }, { get: 1, set: 1, add: 1, delete: 1 }, new Map()],
  cache: [null, true, 'x', 1, []],
};

const TABLE = Object.entries(BAD_INTROSPECTION).flatMap(([name, values]) =>
  values.map((value) => ({ name, value, shown: inspect(value, { breakLength: Number.POSITIVE_INFINITY }) })),
);

function problemOf(make: () => unknown): ConfigurationError {
  try {
    make();
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('nothing was wrong with it');
}

function expectHelpful(problem: ConfigurationError, option: string): void {
  expect(problem.option).toBe(option);
  expect(problem.message).toBe(`${problem.option}: expected ${problem.expected}, got ${problem.got}. ${problem.fix}`);
  expect([problem.expected, problem.got, problem.fix].every((part) => part !== '')).toBe(true);
  expect(problem.message.split('\n')).toHaveLength(1);
  expect(inspect(problem, { depth: 5 }).replace(/\n\s+at .*/g, '')).not.toContain('hush');
}

describe('a mistake in the options of introspectionVerifier', () => {
  it.each(TABLE)('causes an error that names the option: $name: $shown', ({ name, value }) => {
    expectHelpful(
      problemOf(() => introspectionVerifier({ ...good, [name]: value })),
      `introspectionVerifier: ${name}`,
    );
  });

  it.each<[string, string, object]>([
    ['issuer', 'without issuer and endpoint', { issuer: undefined }],
    ['issuer', 'on http: outside loopback', { issuer: 'http://as.example.com' }],
    ['issuer', 'with a query', { issuer: 'https://as.example.com?x' }],
    ['issuer', 'that is not a URL, without an endpoint', { issuer: 'as' }],
    [
      'issuer',
      'missing with signed responses',
      { issuer: undefined, introspectionEndpoint: 'https://as.example.com/i', signedResponse: true },
    ],
    [
      'issuer',
      'that is not a URL, with signed responses',
      { issuer: 'as', introspectionEndpoint: 'https://as.example.com/i', signedResponse: true },
    ],
    ['audience', 'missing', { audience: undefined }],
    ['clientId', 'missing', { clientId: undefined }],
    [
      'clientId',
      'missing with tls_client_auth',
      { clientId: undefined, clientSecret: undefined, clientAuthentication: 'tls_client_auth' },
    ],
    [
      'clientId',
      'missing with a private key',
      {
        clientId: undefined,
        clientSecret: undefined,
        clientAuthentication: { privateKey: PRIVATE_KEY, algorithm: 'ES256' },
      },
    ],
    [
      'clientId',
      'missing with signed responses',
      {
        clientId: undefined,
        clientSecret: undefined,
        clientAuthentication: { bearerToken: () => 't' },
        signedResponse: true,
      },
    ],
    ['clientSecret', 'missing', { clientSecret: undefined }],
    [
      'clientSecret',
      'missing with client_secret_post',
      { clientSecret: undefined, clientAuthentication: 'client_secret_post' },
    ],
    ['clientSecret', 'that nobody uses', { clientAuthentication: 'tls_client_auth' }],
    ['clientSecret', 'beside a key', { clientAuthentication: { privateKey: PRIVATE_KEY, algorithm: 'ES256' } }],
    ['clientSecret', 'beside a bearer token', { clientAuthentication: { bearerToken: () => 't' } }],
    ['store', 'for what is not remembered', { store: memoryStore(), cache: false }],
    ['cache: maxEntries', 'that is 0', { cache: { maxEntries: 0 } }],
    ['cache: maxAge', 'that is 0', { cache: { maxAge: 0 } }],
    ['cache: negativeMaxAge', 'below 0', { cache: { negativeMaxAge: -1 } }],
    ['cache: negativeMaxAge', 'above an hour', { cache: { negativeMaxAge: 3_601 } }],
    ['cache: "negativMaxAge"', 'misspelled', { cache: { negativMaxAge: 1 } }],
    ['"introspectionEndPoint"', 'misspelled', { introspectionEndPoint: 'https://as.example.com/i' }],
    ['"client_secret"', 'in the spelling of the wire', { client_secret: 'hush' }],
    ['jwksUri', 'without signed responses', { jwksUri: 'https://as.example.com/jwks' }],
  ])('causes an error that names the option: %s %s', (option, _, changes) => {
    expectHelpful(
      problemOf(() => introspectionVerifier({ ...good, ...changes })),
      `introspectionVerifier: ${option}`,
    );
  });

  it.each([undefined, null, 'x', 5, []])(
    'causes an error that says that the options are not an object: %p',
    (options) => {
      expectHelpful(
        problemOf(() => introspectionVerifier(options as never)),
        'introspectionVerifier',
      );
    },
  );

  it('causes an error that suggests the correct name', () => {
    const problem = problemOf(() => introspectionVerifier({ ...good, client_secret: 'hush' } as never));
    expect(problem.fix).toBe('Did you mean clientSecret?');
  });
});

describe('a mistake in the options of introspectionBearer', () => {
  it('causes an error that names the option, of the verifier or of the middleware', () => {
    const make = (changes: object) => () => introspectionBearer({ ...good, ...changes });
    expectHelpful(problemOf(make({ clientSecret: 7 })), 'introspectionBearer: clientSecret');
    expectHelpful(problemOf(make({ realm: 'a\nb' })), 'introspectionBearer: realm');
    expectHelpful(problemOf(make({ clientSecrets: 'hush' })), 'introspectionBearer: "clientSecrets"');
  });
});

describe('options of introspectionVerifier', () => {
  it.each<[string, object]>([
    ['the required ones only', {}],
    ['an issuer on loopback', { issuer: 'http://127.0.0.1:1' }],
    ['an http: issuer with allowInsecureHttp', { issuer: 'http://as.example.com', allowInsecureHttp: true }],
    [
      'an issuer that is not a URL, together with an endpoint',
      { issuer: 'as', introspectionEndpoint: 'https://as.example.com/i' },
    ],
    ['an endpoint with a query', { introspectionEndpoint: 'https://as.example.com/i?tenant=1' }],
    [
      'a bearer token and no client id',
      { clientId: undefined, clientSecret: undefined, clientAuthentication: { bearerToken: () => 't' } },
    ],
    [
      'all limits',
      { timeout: 60, maxBytes: 1_024, maxStale: 86_400, cache: { maxEntries: 1, maxAge: 1, negativeMaxAge: 0 } },
    ],
  ])('may be %s', (_, changes) => {
    expect(() => introspectionVerifier({ ...good, ...changes })).not.toThrow();
  });
});
