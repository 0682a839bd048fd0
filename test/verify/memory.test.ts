import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from '@jest/globals';
import {
  cachedVerifier,
  type CacheOptions,
  createAccessToken,
  introspectionVerifier,
  jwtVerifier,
  type JwtVerifier,
  type TokenVerifier,
} from '../../lib/index.js';
import { makeSigningKey, type SigningKey } from '../../lib/testing/issuer.js';
import { cachedResult, listen, signRaw, startIssuer, verifyAsync } from '../support/helpers.js';
import { verifierFor } from '../support/introspection.js';

const ISSUER = 'https://auth.example.com';
const AUDIENCE = 'https://api.example.com';

let key: SigningKey;

beforeAll(async () => {
  key = await makeSigningKey();
});

function makeJwt(cache: CacheOptions = {}): JwtVerifier {
  return jwtVerifier({
    issuer: ISSUER,
    audience: AUDIENCE,
    jwks: { keys: [key.publicJwk] },
    cache,
    maxTokenBytes: 200_000,
  });
}

/** A token whose payload has this text as the value of `x`. */
function issue(x: string, header: object = {}, more: object = {}): Promise<string> {
  const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'a', exp: Math.floor(Date.now() / 1000) + 600, ...more };
  const payload = `${JSON.stringify(claims).slice(0, -1)},"x":${x}}`;
  return signRaw(JSON.stringify({ alg: key.algorithm, kid: key.publicJwk.kid, ...header }), payload, key);
}

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
const list = (length: number, item: string): string => `[${Array<string>(length).fill(item).join(',')}]`;

const TOO_COMPLEX: [string, string][] = [
  ['arrays in 5,000 levels', nested(5_000)],
  ['objects in 5,000 levels', `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`],
  ['5,000 numbers', list(5_000, '1')],
  ['5,000 empty objects', list(5_000, '{}')],
  ['5,000 members', `{${Array.from({ length: 5_000 }, (_, i) => `"${i}":1`).join(',')}}`],
  ['5,000 members of one name', `{${Array<string>(5_000).fill('"a":1').join(',')}}`],
];

const USUAL: [string, string][] = [
  ['20 levels', nested(20)],
  ['1,500 groups', list(1_500, '"group"')],
  ['text with many brackets and commas', JSON.stringify('[{,"'.repeat(5_000))],
  ['text that ends in a backslash', JSON.stringify('\\'.repeat(50))],
];

describe('a JWT', () => {
  it.each(TOO_COMPLEX)('with %s is malformed, before it is parsed', async (_, x) => {
    await expect(verifyAsync(makeJwt(), await issue(x))).rejects.toMatchObject({ reason: 'malformed' });
  });

  it.each(TOO_COMPLEX)('with %s in its header is malformed', async (_, x) => {
    const token = await signRaw(`{"alg":"ES256","x":${x}}`, JSON.stringify({ iss: ISSUER }), key);
    await expect(verifyAsync(makeJwt(), token)).rejects.toMatchObject({ reason: 'malformed' });
  });

  it.each(USUAL)('with %s is accepted', async (_, x) => {
    await expect(verifyAsync(makeJwt(), await issue(x))).resolves.toMatchObject({ subject: 'a' });
  });

  it.each(TOO_COMPLEX)('with %s in its header is not introspected', async (_, x) => {
    const issuer = await startIssuer();
    const token = await signRaw(`{"alg":"ES256","typ":"logout+jwt","x":${x}}`, '{}', key);
    const verifier = verifierFor(issuer, { maxTokenBytes: 200_000 });
    await expect(verifyAsync(verifier, token)).rejects.toMatchObject({ reason: 'malformed' });
    expect(issuer.requests.introspection).toBe(0);
  });
});

describe('an introspection response', () => {
  it.each([...TOO_COMPLEX, ['arrays in 40 levels', nested(40)]])('with %s is a failure of the server', async (_, x) => {
    const text = `{"active":true,"client_id":"a","x":${x}}`;
    const verifier = introspectionVerifier({
      introspectionEndpoint: `${ISSUER}/introspect`,
      clientId: 'api',
      clientSecret: 'secret',
      audience: false,
      fetch: () => Promise.resolve(new Response(text)),
    });
    await expect(verifyAsync(verifier, 'token')).rejects.toMatchObject({ status: 503 });
  });

  it.each<[string, number, number | undefined, boolean]>([
    ['is accepted up to 64 KiB', 60_000, undefined, true],
    ['is a failure of the server if it is longer', 66_000, undefined, false],
    ['may be longer with maxBytes', 200_000, 300_000, true],
    ['must be shorter with maxBytes', 2_000, 1_024, false],
  ])('%s', async (_, length, maxBytes, isAccepted) => {
    const issuer = await startIssuer();
    issuer.introspection.rewrite = (response) => ({ ...response, x: 'x'.repeat(length) });
    const verification = verifyAsync(verifierFor(issuer, { maxBytes }), issuer.issueOpaque());
    if (isAccepted) await expect(verification).resolves.toMatchObject({ format: 'opaque' });
    else await expect(verification).rejects.toMatchObject({ status: 503, reason: 'introspection_unavailable' });
  });

  it('is limited after decompression', async () => {
    const body = gzipSync(JSON.stringify({ active: true, client_id: 'a', x: 'x'.repeat(780_000) }));
    expect(body.length).toBeLessThan(2_000);
    const port = await listen((_req, res) => {
      res.setHeader('Content-Type', 'application/json').setHeader('Content-Encoding', 'gzip').end(body);
    });
    const verifier = introspectionVerifier({
      introspectionEndpoint: `http://127.0.0.1:${port}/introspect`,
      clientId: 'api',
      clientSecret: 'secret',
      audience: false,
    });
    const error: unknown = await verifyAsync(verifier, 'token').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ status: 503, cause: { failure: 'too_large' } });
  });

  it('does not limit the keys of signed responses', async () => {
    const issuer = await startIssuer();
    issuer.published = [...issuer.published, { kty: 'EC', kid: 'x'.repeat(70_000) }] as typeof issuer.published;
    const verifier = verifierFor(issuer, { signedResponse: true });
    await expect(verifyAsync(verifier, issuer.issueOpaque())).resolves.toMatchObject({ format: 'opaque' });
  });
});

describe('cache.maxBytes', () => {
  const SIZE = 20_000;
  const text = (n: number): string => String(n).padEnd(SIZE, 'x');
  const claimsOf: [string, (n: number) => Record<string, unknown>][] = [
    ['claims', (n) => ({ y: text(n) })],
    ['names of claims', (n) => ({ [text(n)]: 1 })],
    ['nested claims', (n) => ({ y: [{ z: [text(n)] }] })],
    ['scopes', (n) => ({ scope: `${n} ${Array.from({ length: 3_000 }, (_, i) => i.toString(36)).join(' ')}` })],
    ['audiences', (n) => ({ aud: [AUDIENCE, text(n)] })],
    ['subjects', (n) => ({ sub: text(n) })],
    ['text that needs two bytes for a character', (n) => ({ y: `${n}${'ж'.repeat(SIZE / 2)}` })],
  ];

  async function countCached(verifier: TokenVerifier, tokens: readonly string[]): Promise<number> {
    for (const token of tokens) await verifier.verify(token);
    return tokens.filter((token) => cachedResult(verifier, token) !== undefined).length;
  }

  it.each(claimsOf)('counts %s of JWTs', async (_, make) => {
    const tokens = await Promise.all(Array.from({ length: 8 }, (__, n) => issue('1', {}, make(n))));
    expect(await countCached(makeJwt(), tokens)).toBe(8);
    expect(await countCached(makeJwt({ maxBytes: 110_000 }), tokens)).toBeLessThanOrEqual(5);
    expect(await countCached(makeJwt({ maxBytes: SIZE }), tokens)).toBe(0);
  });

  it('counts headers of JWTs', async () => {
    const tokens = await Promise.all(Array.from({ length: 8 }, (__, n) => issue('1', { x: text(n) })));
    expect(await countCached(makeJwt({ maxBytes: 110_000 }), tokens)).toBeLessThanOrEqual(5);
  });

  it('applies to introspection', async () => {
    const issuer = await startIssuer();
    const tokens = Array.from({ length: 8 }, (_, n) => issuer.issueOpaque({ x: text(n) }));
    expect(await countCached(verifierFor(issuer, { cache: { maxBytes: 110_000 } }), tokens)).toBeLessThanOrEqual(5);
    expect(await countCached(verifierFor(issuer), tokens)).toBe(8);
  });

  it('applies to own verifiers', async () => {
    const inner: TokenVerifier = {
      verify: (token) => Promise.resolve(createAccessToken({ sub: token, x: text(1) }, { issuer: ISSUER })),
    };
    const tokens = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    expect(await countCached(cachedVerifier(inner, { maxBytes: 110_000 }), tokens)).toBeLessThanOrEqual(5);
    expect(await countCached(cachedVerifier(inner), tokens)).toBe(8);
  });

  it('does not let rejected tokens grow the cache', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer, { cache: { maxBytes: 2_000 } });
    for (let i = 0; i < 40; i++) {
      await expect(verifyAsync(verifier, `unknown-${i}`)).rejects.toMatchObject({ reason: 'inactive' });
    }
    const before = issuer.requests.introspection;
    for (let i = 0; i < 40; i++) await verifyAsync(verifier, `unknown-${i}`).catch(() => undefined);
    expect(issuer.requests.introspection - before).toBeGreaterThan(20);
  });
});
