import { describe, expect, it } from '@jest/globals';
import { bearer, ConfigurationError, introspectionBearer, jwtBearer, memoryStore } from '../../lib/index.js';
import { ACCESS_TOKEN } from '../support/access-token.js';

const GOOD = { issuer: 'https://auth.example.com', audience: 'https://api.example.com' };
const SECRET = 'correct-horse-battery-staple-and-so-on';

/** Every function that creates a middleware, with options that the types do not allow. */
const WAYS: readonly [string, (options: Record<string, unknown>) => unknown][] = [
  ['bearer', (options) => bearer({ verify: () => Promise.resolve(ACCESS_TOKEN) }, options)],
  ['jwtBearer', (options) => jwtBearer({ ...GOOD, ...options })],
  [
    'introspectionBearer',
    (options) => introspectionBearer({ ...GOOD, clientId: 'api', clientSecret: SECRET, ...options }),
  ],
];

function mistakesOf(options: Record<string, unknown>): [where: string, error: ConfigurationError][] {
  return WAYS.map(([name, make]) => {
    try {
      make(options);
    } catch (error) {
      if (error instanceof ConfigurationError) return [name, error];
      throw error;
    }
    throw new Error(`${name} accepted ${JSON.stringify(options)}`);
  });
}

describe('the option dpop', () => {
  it.each<[string, Record<string, unknown>]>([
    ['only the mode', { dpop: 'off' }],
    ['the mode in an object', { dpop: { mode: 'off' } }],
    ['undefined', { dpop: undefined }],
    ['members that are undefined', { dpop: { mode: 'allowed', secret: undefined, nonceMaxAge: undefined } }],
    ['nonce: false', { dpop: { mode: 'allowed', nonce: false } }],
    ['all minimum values', { dpop: { mode: 'required', maxAge: 1, clockTolerance: 0, nonce: true, nonceMaxAge: 10 } }],
    [
      'all maximum values',
      { dpop: { mode: 'required', maxAge: 3_600, clockTolerance: 300, nonce: true, nonceMaxAge: 3_600 } },
    ],
    ['a secret of 32 bytes', { dpop: { mode: 'allowed', nonce: true, secret: 's'.repeat(32) } }],
    ['a secret of 16 characters of two bytes', { dpop: { mode: 'allowed', nonce: true, secret: 'é'.repeat(16) } }],
    ['a secret in bytes', { dpop: { mode: 'allowed', nonce: true, secret: new Uint8Array(32) } }],
    ['a store', { dpop: { mode: 'allowed', store: memoryStore() } }],
    ['algorithms', { dpop: { mode: 'allowed', algorithms: ['ES256'] } }],
    ['a base URL', { dpop: 'allowed', baseUrl: 'https://api.example.com/v1/' }],
  ])('can be %s', (_, options) => {
    for (const [, make] of WAYS) expect(make(options)).toEqual(expect.any(Function));
  });

  it.each<[string, unknown]>([
    ['an unknown word', 'on'],
    ['a mode in upper case', 'Required'],
    ['true', true],
    ['false', false],
    ['null', null],
    ['a number', 1],
    ['an empty string', ''],
    ['an empty object', {}],
    ['an object without a mode', { maxAge: 60 }],
    ['a mode that is undefined', { mode: undefined }],
  ])('cannot be %s', (_, dpop) => {
    for (const [where, error] of mistakesOf({ dpop })) {
      expect(error).toMatchObject({ option: `${where}: dpop`, reason: 'option_invalid' });
      expect(error.message).toMatch(/"off" or "allowed" or "required".*mode/);
    }
  });

  it('cannot be an array', () => {
    for (const [where, error] of mistakesOf({ dpop: ['required'] })) {
      expect(error).toMatchObject({ option: `${where}: dpop`, got: 'an array of 1: "required"' });
    }
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['a wrong mode', { mode: 'on' }, 'mode'],
    ['a mode that is an array', { mode: ['allowed'] }, 'mode'],
    ['no algorithms', { algorithms: [] }, 'algorithms'],
    ['HS256', { algorithms: ['HS256'] }, 'algorithms'],
    ['none', { algorithms: ['ES256', 'none'] }, 'algorithms'],
    ['algorithms as a string', { algorithms: 'ES256' }, 'algorithms'],
    ['an unknown algorithm', { algorithms: ['ES256K'] }, 'algorithms'],
    ['a maxAge of 0', { maxAge: 0 }, 'maxAge'],
    ['a maxAge below one second', { maxAge: 0.5 }, 'maxAge'],
    ['a maxAge above one hour', { maxAge: 3_601 }, 'maxAge'],
    ['an infinite maxAge', { maxAge: Number.POSITIVE_INFINITY }, 'maxAge'],
    ['a maxAge of NaN', { maxAge: Number.NaN }, 'maxAge'],
    ['a maxAge as a string', { maxAge: '60' }, 'maxAge'],
    ['a negative tolerance', { clockTolerance: -1 }, 'clockTolerance'],
    ['a tolerance of more than five minutes', { clockTolerance: 301 }, 'clockTolerance'],
    ['nonce as a string', { nonce: 'true' }, 'nonce'],
    ['the secret as the value of nonce', { nonce: SECRET }, 'nonce'],
    ['a nonceMaxAge that is too short', { nonce: true, nonceMaxAge: 9 }, 'nonceMaxAge'],
    ['a nonceMaxAge that is too long', { nonce: true, nonceMaxAge: 3_601 }, 'nonceMaxAge'],
    ['a fractional nonceMaxAge', { nonce: true, nonceMaxAge: 10.5 }, 'nonceMaxAge'],
    ['a nonceMaxAge without nonce', { nonceMaxAge: 300 }, 'nonceMaxAge'],
    ['a nonceMaxAge with nonce: false', { nonce: false, nonceMaxAge: 300 }, 'nonceMaxAge'],
    ['a secret without nonce', { secret: SECRET }, 'secret'],
    ['a secret with nonce: false', { nonce: false, secret: SECRET }, 'secret'],
    ['a short secret', { nonce: true, secret: SECRET.slice(0, 31) }, 'secret'],
    ['a short secret in bytes', { nonce: true, secret: Buffer.from(SECRET).subarray(0, 31) }, 'secret'],
    ['a secret in an array', { nonce: true, secret: [SECRET] }, 'secret'],
    ['a secret in an object', { nonce: true, secret: { value: SECRET } }, 'secret'],
    ['an object that is not a store', { store: {} }, 'store'],
    ['a map as the store', { store: new Map() }, 'store'],
    ['a store without add', { store: { ...memoryStore(), add: undefined } }, 'store'],
    ['a function as the store', { store: () => memoryStore() }, 'store'],
  ])('cannot have %s', (_, members, name) => {
    for (const [where, error] of mistakesOf({ dpop: { mode: 'allowed', ...members } })) {
      expect(error.option).toBe(`${where}: dpop: ${name}`);
      expect([error.expected, error.got, error.fix].filter((part) => part === '')).toEqual([]);
      for (const hidden of [SECRET.slice(0, 31), 'horse', 'battery']) {
        expect(JSON.stringify([error.message, error.cause, error.stack])).not.toContain(hidden);
      }
    }
  });

  it.each([
    ['maxage', 'maxAge'],
    ['nonces', 'nonce'],
    ['algorithm', 'algorithms'],
    ['clockTolerence', 'clockTolerance'],
    ['Mode', 'mode'],
  ])('suggests the right name for %s', (name, near) => {
    for (const [where, error] of mistakesOf({ dpop: { mode: 'allowed', [name]: 1 } })) {
      expect(error.option).toBe(`${where}: dpop: "${name}"`);
      expect(error.fix).toBe(`Did you mean ${near}?`);
    }
  });

  it.each([
    'api.example.com',
    '/api',
    '',
    'ftp://api.example.com',
    'ws://api.example.com',
    'javascript:alert(1)',
    'https://api.example.com?',
    'https://api.example.com/?a=b',
    'https://api.example.com/#',
    'https://api.example.com/#part',
    'https://user@api.example.com',
    'https://user:battery@api.example.com',
    'https://:battery@api.example.com',
    'https://',
    null,
    1,
    new URL('https://api.example.com'),
    ['https://api.example.com'],
  ])('rejects the baseUrl %p', (baseUrl) => {
    for (const [where, error] of mistakesOf({ dpop: 'allowed', baseUrl })) {
      expect(error.option).toBe(`${where}: baseUrl`);
      expect(error.message).not.toContain('battery');
    }
  });
});
