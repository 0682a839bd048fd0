import { afterAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import fc from 'fast-check';
import { compactVerify, importJWK } from 'jose';
import { getAuth, jwtBearer, requireScopes } from '../../lib/index.js';
import { TestIssuer } from '../../lib/testing/issuer.js';
import { base64url, challengesOf, type RawAnswer, signRaw } from '../support/helpers.js';
import { fieldValue, serveHostile } from '../support/hostile.js';

const NOW = 1_800_000_000;
const RUNS = { numRuns: 300 };

let issuer: TestIssuer;

const request = serveHostile(
  async () => {
    issuer = await TestIssuer.start({ clock: () => NOW });
    const app = express();
    // Configured keys, because a flood of forged signatures would otherwise end as 503.
    const jwks = { keys: [issuer.key.publicJwk] };
    app.use(jwtBearer({ issuer: issuer.url, audience: issuer.audience, jwks, clock: () => NOW }));
    app.get('/scoped', requireScopes('a'));
    app.use((req, res) => {
      res.json({ client: getAuth(req).clientId ?? null });
    });
    return app;
  },
  async () => send(await issuer.issue()),
);

afterAll(() => issuer.close());

function send(token: string, path?: string): Promise<RawAnswer> {
  return request(['Authorization', `Bearer ${token}`], path);
}

/** What every rejection must have. */
function expectRejection(response: RawAnswer, statuses: readonly number[]): void {
  expect(statuses).toContain(response.status);
  const body = JSON.parse(response.body) as { error?: string; error_description: string };
  const [found, ...more] = challengesOf(response);
  expect([found?.scheme, more]).toEqual(['Bearer', []]);
  const { error, error_description: description } = found?.parameters ?? {};
  expect(error).toBe(body.error);
  if (error !== undefined) expect(description).toBe(body.error_description);
  // RFC 6750 §3: the characters that error and error_description may have.
  for (const text of [error ?? '', description ?? '']) expect(text).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/);
  expect(response.headers['content-type']).toBe('application/json');
  expect(response.headers['cache-control']).toBe('no-store');
}

const scheme = fc.constantFrom(
  'Bearer ',
  'bearer ',
  'Bearer',
  'Bearer  ',
  'Bearer\t',
  'BEARER=',
  'Basic ',
  'DPoP ',
  ', Bearer ',
  '',
);
const separator = fc.constantFrom('', ' ', ',', ', ', '.', '..', '=', '"');

describe('any Authorization header', () => {
  it('causes a well-formed rejection', async () => {
    const header = fc.array(fc.tuple(scheme, fieldValue, separator), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(header, async (parts) => {
        const value = parts.map((part) => part.join('')).join('');
        expectRejection(await request(['Authorization', value]), [400, 401]);
      }),
      RUNS,
    );
  });

  it('causes a rejection for several credentials together with another one', async () => {
    const good = `Bearer ${await issuer.issue()}`;
    await fc.assert(
      fc.asyncProperty(fieldValue, fc.boolean(), async (value, isFirst) => {
        const values = isFirst ? [value, good] : [good, value];
        const response = await request(values.flatMap((each) => ['Authorization', each]));
        expectRejection(response, [400]);
      }),
      { numRuns: 100 },
    );
  });
});

const base64urlText = fc.string({ unit: fc.constantFrom(...Array.from('abcXYZ019-_')), maxLength: 80 });
const json = fc.json({ maxDepth: 3 }).map(base64url);
const goodHeader = fc
  .constantFrom('ES256', 'none', 'HS256', 'RS256', 'EdDSA')
  .map((alg) => base64url(JSON.stringify({ alg })));
const segment = fc.oneof(base64urlText, json, goodHeader);

describe('any token', () => {
  it('with random segments is rejected', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(segment, { minLength: 1, maxLength: 6 }), async (segments) => {
        expectRejection(await send(segments.join('.')), [400, 401]);
      }),
      RUNS,
    );
  });

  it('that was valid and then changed is rejected, unless its signature still verifies', async () => {
    const key = await importJWK(issuer.key.publicJwk, 'ES256');
    const good = await issuer.issue({ scope: 'b' });
    const edit = fc.record({
      at: fc.nat({ max: good.length }),
      removed: fc.nat({ max: 3 }),
      added: fc.string({ unit: fc.constantFrom(...Array.from('AQgw09-_.=+/~')), maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { maxLength: 2 }), async (edits) => {
        let token = good;
        for (const { at, removed, added } of edits) token = token.slice(0, at) + added + token.slice(at + removed);
        const isGood = await compactVerify(token, key).then(
          () => /^[\w.-]+$/.test(token),
          () => false,
        );
        const response = await send(token);
        if (isGood) expect([response.status, response.body]).toEqual([200, '{"client":"client-1"}']);
        else expectRejection(response, [400, 401]);
      }),
      RUNS,
    );
  });
});

const junk = fc.jsonValue({ maxDepth: 2 });
const time = fc.oneof(
  fc.integer({ min: NOW - 8, max: NOW + 8 }),
  fc.constantFrom(NOW - 10, NOW - 9, NOW + 10, NOW + 11, NOW + 60, NOW + 61),
  junk,
);
/** Usually a valid value, so that many tokens have exactly one fault. */
const mostly = (good: fc.Arbitrary<unknown>, other: fc.Arbitrary<unknown> = junk): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 9, arbitrary: good },
    { weight: 1, arbitrary: other },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );

const claims = fc.record({
  iss: mostly(fc.constant('ISSUER')),
  aud: mostly(fc.constantFrom<unknown>('AUDIENCE', ['x', 'AUDIENCE'], ['AUDIENCE', 1])),
  exp: mostly(fc.constant(NOW + 60), time),
  nbf: fc.oneof(fc.constant(undefined), fc.constant(NOW - 1), time),
  iat: fc.oneof(fc.constant(undefined), fc.constant(NOW - 1), time),
  sub: mostly(fc.string()),
  client_id: mostly(fc.string()),
  jti: mostly(fc.string()),
  scope: fc.oneof(fc.constantFrom<unknown>('a', 'a b', ['a'], 'b', undefined), junk),
  cnf: fc.oneof(
    { weight: 8, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: junk },
    { weight: 1, arbitrary: fc.constant({ jkt: 'x' }) },
  ),
  at_hash: fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: junk }),
  typ: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom('at+jwt', 'JWT', undefined) },
    { weight: 1, arbitrary: fc.string() },
  ),
  more: fc.dictionary(
    fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'azp', 'scp', 'toString')),
    junk,
  ),
});

type Drawn = Record<string, unknown>;

/** The same rules, written independently. */
function isAcceptable(token: Drawn, typ: unknown): boolean {
  // `null` counts as absent.
  const has = (name: string): boolean => Object.keys(token).includes(name) && token[name] !== null;
  const isTime = (name: string): boolean => !has(name) || typeof token[name] === 'number';
  const timeOf = (name: string): number => (typeof token[name] === 'number' ? token[name] : 0);
  const [exp, nbf, iat] = [timeOf('exp'), timeOf('nbf'), timeOf('iat')];
  const { cnf } = token;
  return [
    ['undefined', 'string'].includes(typeof typ) &&
      [undefined, 'at+jwt', 'jwt'].includes((typ as string | undefined)?.toLowerCase()),
    has('iss') && token.iss === issuer.url,
    has('aud') && [token.aud].flat().includes(issuer.audience),
    has('exp') && ['exp', 'nbf', 'iat'].every(isTime) && exp > NOW - 10 && nbf <= NOW + 10 && iat <= NOW + 60,
    ['sub', 'client_id', 'jti'].every((name) => !has(name) || typeof token[name] === 'string'),
    ['at_hash', 'c_hash', 's_hash'].every((name) => !has(name)),
    !has('cnf') ||
      (cnf !== undefined &&
        cnf !== null &&
        typeof cnf === 'object' &&
        !Array.isArray(cnf) &&
        !('jkt' in cnf) &&
        !('x5t#S256' in cnf)),
  ].every(Boolean);
}

describe('any claims that the issuer has signed', () => {
  it('are accepted if and only if they are valid', async () => {
    const outcomes = { good: 0, bad: 0 };
    await fc.assert(
      fc.asyncProperty(claims, async ({ typ, more, ...drawn }) => {
        const header = JSON.stringify({ alg: 'ES256', kid: issuer.key.kid, typ });
        const payload = JSON.stringify({ ...more, ...drawn })
          .replaceAll('"ISSUER"', JSON.stringify(issuer.url))
          .replaceAll('"AUDIENCE"', JSON.stringify(issuer.audience));
        const token = JSON.parse(payload) as Drawn;
        const response = await send(await signRaw(header, payload, issuer.key), '/scoped');
        if (!isAcceptable(token, typ)) {
          outcomes.bad++;
          expectRejection(response, [401]);
          return;
        }
        outcomes.good++;
        const words = (value: unknown): unknown[] => (typeof value === 'string' ? value.split(' ') : [value].flat());
        const own = (name: string): unknown => (Object.keys(token).includes(name) ? token[name] : undefined);
        if ([...words(own('scope')), ...words(own('scp'))].includes('a')) expect(response.status).toBe(200);
        else expectRejection(response, [403]);
      }),
      { numRuns: 500 },
    );
    // Otherwise the test would check little.
    expect(outcomes.good).toBeGreaterThan(30);
    expect(outcomes.bad).toBeGreaterThan(30);
  });
});
