import { describe, expect, it } from '@jest/globals';
import {
  bearer,
  ConfigurationError,
  jwtBearer,
  type JwtBearerOptions,
  jwtVerifier,
  requireAnyScope,
  requireClaim,
  requireClient,
  requireScopes,
  requireThat,
  type TokenVerifier,
} from '../lib/index.js';
import { BAD, BAD_BEARER, BAD_CACHE, BAD_KEYS } from './support/bad-options.js';
import { makeSigningKey } from '../lib/testing/issuer.js';

const GOOD = { issuer: 'https://auth.example.com', audience: 'https://api.example.com' };
const SECRET = 'correct-horse-battery-staple-and-so-on';

function mistake(make: () => unknown): ConfigurationError {
  try {
    make();
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('no mistake was found');
}

/** Creates a middleware with options that the types do not allow. */
function withOptions(options: Record<string, unknown>): () => unknown {
  return () => jwtBearer({ ...GOOD, ...options });
}

/** The message must contain the option, what was expected, what was passed and the fix. */
function expectMistake(make: () => unknown, option: string): ConfigurationError {
  const error = mistake(make);
  expect(error.option).toBe(option);
  expect(error).toMatchObject({ name: 'ConfigurationError', status: undefined, reason: 'option_invalid' });
  for (const part of [error.expected, error.got, error.fix]) expect(part.length).toBeGreaterThan(0);
  expect(error.message).toBe(`${error.option}: expected ${error.expected}, got ${error.got}. ${error.fix}`);
  expect(error.message).toMatch(/^.{20,600}$/);
  return error;
}

const cases = (table: Record<string, readonly unknown[]>): { name: string; value: unknown }[] =>
  Object.entries(table).flatMap(([name, values]) => values.map((value) => ({ name, value })));

describe('an option', () => {
  it.each(cases(BAD))('$name must not be $value', ({ name, value }) => {
    const error = expectMistake(withOptions({ [name]: value }), `jwtBearer: ${name}`);
    expect(mistake(() => jwtVerifier({ ...GOOD, [name]: value })).message).toBe(
      error.message.replace('jwtBearer', 'jwtVerifier'),
    );
  });

  it.each(cases(BAD_BEARER))('$name must not be $value', ({ name, value }) => {
    expectMistake(withOptions({ [name]: value }), `jwtBearer: ${name}`);
  });

  it.each(cases(BAD_KEYS))('keys.$name must not be $value', ({ name, value }) => {
    expectMistake(withOptions({ keys: { [name]: value } }), `jwtBearer: keys: ${name}`);
  });

  it.each(cases(BAD_CACHE))('cache.$name must not be $value', ({ name, value }) => {
    expectMistake(withOptions({ cache: { [name]: value } }), `jwtBearer: cache: ${name}`);
  });

  it.each([null, undefined, 1, 'https://auth.example.com', [], [GOOD], true])('must not be in %p', (given) => {
    expectMistake(() => jwtBearer(given as never), 'jwtBearer');
    expectMistake(() => jwtVerifier(given as never), 'jwtVerifier');
  });

  it('may have the minimum and the maximum of its range', async () => {
    const { publicJwk } = await makeSigningKey();
    const least = { refreshInterval: 1, cooldown: 1, maxStale: 0, timeout: 0.1, maxBytes: 1_024 };
    const most = { refreshInterval: 86_400, cooldown: 3_600, maxStale: 604_800, timeout: 60, maxBytes: 16_777_216 };
    const makings: JwtBearerOptions[] = [
      GOOD,
      {
        ...GOOD,
        clockTolerance: 0,
        maxTokenAge: 1,
        maxTokenBytes: 256,
        keys: least,
        cache: { maxEntries: 1, maxAge: 1 },
      },
      { ...GOOD, clockTolerance: 300, maxTokenAge: 31_536_000, maxTokenBytes: 1_048_576, keys: most, cache: false },
      { ...GOOD, optional: true, realm: ' !"\\~', property: '$auth_1', errors: 'problem', tokenFrom: () => null },
      { ...GOOD, audience: ['a', 'b'], algorithms: ['RS256'], requiredClaims: ['x'], profile: 'rfc9068' },
      { ...GOOD, audience: false, jwks: { keys: [publicJwk] }, clientIdClaims: ['x'], scopeClaims: ['y'] },
      { ...GOOD, secret: 's'.repeat(32), algorithms: ['HS256'], fetch, clock: () => 0 },
    ];
    for (const options of makings) expect(typeof jwtBearer(options)).toBe('function');
  });

  it('that is undefined counts as absent, except for issuer and audience, which are required', () => {
    const names = [...Object.keys(BAD), ...Object.keys(BAD_BEARER)];
    const undefinedAll = Object.fromEntries(names.map((name) => [name, undefined]));
    expect(typeof withOptions({ ...undefinedAll, ...GOOD })()).toBe('function');
    expect(expectMistake(withOptions({ audience: undefined }), 'jwtBearer: audience').got).toBe('undefined');
    expect(expectMistake(withOptions({ issuer: undefined }), 'jwtBearer: issuer').got).toBe('undefined');
    expectMistake(() => jwtBearer({ issuer: GOOD.issuer } as never), 'jwtBearer: audience');
  });

  it('does not change when the application changes its array later', () => {
    const audience = ['mine'];
    const verifier = jwtVerifier({ ...GOOD, audience });
    audience[0] = 'other';
    expect(verifier.issuer).toBe(GOOD.issuer);
  });
});

describe('an unknown option', () => {
  it.each([
    ['audiences', 'audience'],
    ['Issuer', 'issuer'],
    ['jwksURI', 'jwksUri'],
    ['jwks_uri', 'jwksUri'],
    ['algorithm', 'algorithms'],
    ['clockTolerence', 'clockTolerance'],
    ['require', undefined],
    ['optinal', 'optional'],
    ['tokenForm', 'tokenFrom'],
    ['credentialsRequired', undefined],
    ['toString', undefined],
    ['\r\n\u2603', undefined],
    ['x'.repeat(5_000), undefined],
  ])('causes a ConfigurationError: %j', (name, meant) => {
    const error = mistake(withOptions({ [name]: 1 }));
    expect(error.option).toBe(`jwtBearer: ${JSON.stringify(name.slice(0, 60))}`);
    if (meant !== undefined) expect(error.fix).toBe(`Did you mean ${meant}?`);
    expect(error.fix).toMatch(/^(?:Remove it\.|Did you mean \w+\?)$/);
    expect(error.message.length).toBeLessThan(700);
  });

  it('causes a ConfigurationError in a group too', () => {
    const error = mistake(withOptions({ keys: { maxstale: 1 } }));
    expect([error.option, error.fix]).toEqual(['jwtBearer: keys: "maxstale"', 'Did you mean maxStale?']);
    expect(mistake(withOptions({ cache: { ttl: 1 } })).option).toBe('jwtBearer: cache: "ttl"');
  });

  it('causes a ConfigurationError if it is an option of another function', () => {
    const verifier: TokenVerifier = { verify: () => Promise.reject(new Error('unused')) };
    expect(mistake(() => bearer(verifier, { issuer: 'x' } as never)).option).toBe('bearer: "issuer"');
    expect(mistake(() => jwtVerifier({ ...GOOD, realm: 'x' } as never)).option).toBe('jwtVerifier: "realm"');
    expect(mistake(() => requireThat(() => true, { scope: ['a'] } as never)).fix).toBe('Did you mean scopes?');
  });

  it('may be __proto__, while inherited properties are ignored', () => {
    const options = JSON.parse('{"__proto__":{"audience":false}}') as Record<string, unknown>;
    expect(mistake(() => jwtBearer({ ...options, issuer: GOOD.issuer } as never)).option).toBe(
      'jwtBearer: "__proto__"',
    );
    const inherited = Object.assign(Object.create({ audience: false }) as object, { issuer: GOOD.issuer });
    expect(mistake(() => jwtBearer(inherited as never)).option).toBe('jwtBearer: audience');
  });
});

describe('a secret', () => {
  it.each<[string, Record<string, unknown>]>([
    ['that is too short', { secret: SECRET.slice(0, 20) }],
    ['of too few bytes', { secret: Buffer.from(SECRET.slice(0, 20)) }],
    ['in an array', { secret: [SECRET] }],
    ['with an algorithm that requires a longer secret', { secret: SECRET, algorithms: ['HS512'] }],
    ['together with jwksUri', { secret: SECRET, jwksUri: 'https://auth.example.com/jwks' }],
    ['under another name', { secrets: SECRET }],
    ['in the URL of the keys', { jwksUri: `https://user:${SECRET.slice(0, 20)}@auth.example.com/jwks` }],
    ['in the issuer', { issuer: `https://user:${SECRET.slice(0, 20)}@auth.example.com` }],
  ])('is in no error message: %s', (_what, options) => {
    const error = mistake(withOptions(options));
    expect(JSON.stringify([error.message, error.got, error.option, error.fix])).not.toContain('correct-horse');
  });
});

describe('a combination of options', () => {
  it.each<[string, Record<string, unknown>, string]>([
    ['jwksUri and jwks', { jwksUri: 'https://a.example.com', jwks: 'KEYS' }, 'jwtBearer: jwksUri, jwks'],
    ['jwks and secret', { jwks: 'KEYS', secret: SECRET }, 'jwtBearer: jwks, secret'],
    ['HS256 without secret', { algorithms: ['HS256'] }, 'jwtBearer: algorithms'],
    ['RS256 and HS256 without secret', { algorithms: ['RS256', 'HS256'] }, 'jwtBearer: algorithms'],
    ['RS256 with secret', { secret: SECRET, algorithms: ['RS256'] }, 'jwtBearer: algorithms'],
    ['HS384 with 38 bytes', { secret: SECRET, algorithms: ['HS384'] }, 'jwtBearer: algorithms'],
  ])('must not be %s', async (_what, options, option) => {
    const { publicJwk } = await makeSigningKey();
    const all = options.jwks === 'KEYS' ? { ...options, jwks: { keys: [publicJwk] } } : options;
    expectMistake(withOptions(all), option);
  });

  it.each([
    'http://auth.example.com',
    'http://localhost.example.com',
    'http://127.0.0.1.example.com',
    'http://10.0.0.1',
    'http://0.0.0.0',
    'HTTP://auth.example.com',
    'ftp://auth.example.com',
    'auth.example.com',
    'https://auth.example.com?tenant=1',
    'https://auth.example.com#x',
    'https://user@auth.example.com',
    'https://',
    'file:///etc/issuer',
  ])('must not contain the issuer %s for discovery', (issuer) => {
    expectMistake(withOptions({ issuer }), 'jwtBearer: issuer');
  });

  it.each([
    'http://localhost',
    'http://localhost:3000/tenant',
    'http://127.0.0.1',
    'http://127.1.2.3:80',
    'http://[::1]:1',
  ])('may contain the issuer %s for discovery', (issuer) => {
    expect(typeof withOptions({ issuer })()).toBe('function');
  });

  it('may contain an http: issuer for discovery with allowInsecureHttp', () => {
    const allowed = { issuer: 'http://auth.internal', allowInsecureHttp: true };
    expect(typeof withOptions(allowed)()).toBe('function');
    expectMistake(withOptions({ ...allowed, allowInsecureHttp: false }), 'jwtBearer: issuer');
    const keys = { jwksUri: 'http://auth.internal/jwks', allowInsecureHttp: true };
    expect(typeof withOptions(keys)()).toBe('function');
  });

  it('may contain an issuer that is not a URL if there is no discovery', () => {
    expect(typeof withOptions({ issuer: 'accounts.example.com', jwksUri: 'https://keys.example.com' })()).toBe(
      'function',
    );
    expect(typeof withOptions({ issuer: 'urn:example:issuer', secret: SECRET })()).toBe('function');
  });
});

describe('a verifier', () => {
  it.each([undefined, null, 'x', {}, { verify: 'x' }, [], () => 'x', GOOD])('must not be %p', (verifier) => {
    const error = mistake(() => bearer(verifier as never));
    expect([error.option, error.reason]).toEqual(['bearer: verifier', 'verifier_invalid']);
  });
});

describe('a gate', () => {
  const scopes = [[], [''], ['a b'], ['a"b'], ['a\\b'], ['caf\u00e9'], ['a', 1], [['a']], [null], [undefined], ['a\n']];
  it.each(scopes)('rejects the arguments of requireScopes %p', (...given) => {
    expectMistake(() => requireScopes(...(given as [string, ...string[]])), 'requireScopes');
    expectMistake(() => requireAnyScope(...(given as [string, ...string[]])), 'requireAnyScope');
  });

  it.each([[], [''], [1], ['a', null], [['a']]])('rejects the arguments of requireClient %p', (...given) => {
    expectMistake(() => requireClient(...(given as string[])), 'requireClient');
  });

  it.each<[unknown, unknown]>([
    ['', 'x'],
    [undefined, 'x'],
    [1, 'x'],
    [['a'], 'x'],
    ['a', undefined],
    ['a', []],
    ['a', {}],
    ['a', [{}]],
    ['a', ['x', undefined]],
    ['a', [['x']]],
    ['a', Symbol('x')],
    ['a', 1n],
    ['a', /x/],
  ])('rejects the arguments of requireClaim %p and %p', (name, expected) => {
    expectMistake(() => requireClaim(name as string, expected as string), 'requireClaim');
  });

  it.each([undefined, null, true, 'x', {}, Promise.resolve(true)])(
    'rejects the argument of requireThat %p',
    (predicate) => {
      expectMistake(() => requireThat(predicate as never), 'requireThat');
    },
  );

  it.each([[], ['a b'], 'a', [1], null])('rejects the scopes of requireThat %p', (given) => {
    expectMistake(() => requireThat(() => true, { scopes: given } as never), 'requireThat: scopes');
  });
});
