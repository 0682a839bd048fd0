import { describe, expect, it } from '@jest/globals';
import express from 'express';
import fc from 'fast-check';
import { getAuth } from '../../lib/index.js';
import { ALGS, BASE_URL, challengeOn, dpopBearer, hashOf, now, createScene } from '../support/dpop.js';
import { base64url, challengesOf, type RawAnswer, signRaw } from '../support/helpers.js';
import { fieldValue, serveHostile } from '../support/hostile.js';

const RUNS = { numRuns: 300 };

const scene = createScene();

const request = serveHostile(
  () => {
    const app = express();
    app.use(dpopBearer(scene.issuer, 'required'), (req, res) => {
      res.json(getAuth(req).scheme);
    });
    return app;
  },
  async () => send(await scene.prove()),
);

function send(...proofs: string[]): Promise<RawAnswer> {
  return request(['Authorization', `DPoP ${scene.token}`, ...proofs.flatMap((proof) => ['DPoP', proof])]);
}

/** The properties of every rejection of a proof. */
function expectRejection(response: RawAnswer): void {
  expect(response.status).toBe(401);
  const body = JSON.parse(response.body) as { error: string; error_description: string };
  expect(['invalid_dpop_proof', 'invalid_token']).toContain(body.error);
  expect(challengesOf(response)).toHaveLength(1);
  expect(challengeOn('DPoP', response)).toEqual({ ...body, algs: ALGS });
  // RFC 6750 §3: the characters that error_description may have.
  expect(body.error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
  expect(response.headers['content-type']).toBe('application/json');
  expect(response.headers['cache-control']).toBe('no-store');
}

const base64urlText = fc.string({ unit: fc.constantFrom(...Array.from('abcXYZ019-_')), maxLength: 80 });
const segment = fc.oneof(base64urlText, fc.json({ maxDepth: 3 }).map(base64url), fieldValue);

describe('any DPoP header', () => {
  it('causes a well-formed rejection with any text', async () => {
    await fc.assert(
      fc.asyncProperty(fieldValue, async (value) => {
        expectRejection(await send(value));
      }),
      RUNS,
    );
  });

  it('causes a well-formed rejection with any segments', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(segment, { minLength: 1, maxLength: 6 }), async (segments) => {
        expectRejection(await send(segments.join('.')));
      }),
      RUNS,
    );
  });

  it('is rejected next to a valid one', async () => {
    await fc.assert(
      fc.asyncProperty(fieldValue, fc.boolean(), async (value, isFirst) => {
        const good = await scene.prove();
        const response = await send(...(isFirst ? [value, good] : [good, value]));
        expectRejection(response);
        expect(response.body).toContain('more than one DPoP proof');
      }),
      { numRuns: 100 },
    );
  });

  it('is rejected with a changed valid proof', async () => {
    const edit = fc.record({
      at: fc.nat(),
      removed: fc.nat({ max: 3 }),
      added: fc.string({ unit: fc.constantFrom(...Array.from('AQgw09-_.=+/~ ,')), maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(edit, async ({ at, removed, added }) => {
        const good = await scene.prove();
        const place = at % good.length;
        const altered = good.slice(0, place) + added + good.slice(place + removed);
        // White space around a field is not part of its value.
        const sent = altered.replace(/^[ \t]+|[ \t]+$/g, '');
        const bytes = (proof: string): string => Buffer.from(proof.split('.')[2] ?? '', 'base64url').toString('hex');
        const input = (proof: string): string => proof.split('.').slice(0, 2).join('.');
        // The unused bits of the last character do not change a signature.
        const isSame = input(sent) === input(good) && bytes(sent) === bytes(good) && /^[\w.-]+$/.test(sent);
        const response = await send(altered);
        if (isSame) expect(response.status).toBe(200);
        else expectRejection(response);
      }),
      RUNS,
    );
  });
});

const junk = fc.jsonValue({ maxDepth: 2 });
/** Usually a valid value, so that many proofs have exactly one fault and some have none. */
const mostly = (good: unknown, ...others: unknown[]): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 30, arbitrary: fc.constant(good) },
    { weight: 1, arbitrary: fc.constantFrom(undefined, ...others) },
    { weight: 1, arbitrary: junk },
  );
const more = fc.dictionary(
  fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'kid', 'toString', 'jwks', 'x5c', 'jku', 'b64')),
  junk,
  { maxKeys: 3 },
);

type Drawn = Record<string, unknown>;

const drawnHeader = fc.record({
  typ: mostly('dpop+jwt', 'JWT', 'at+jwt'),
  alg: mostly('ES256', 'none', 'RS256', 'HS256'),
  jwk: mostly('JWK', 'ALTERED', 'PRIVATE'),
  crit: mostly(undefined, [], ['exp']),
});
const drawnClaims = fc.record({
  htm: mostly('GET', 'POST', 'get'),
  htu: mostly(`${BASE_URL}/`, `${BASE_URL}/x`, 'http://api.example.com/'),
  iat: mostly('NOW', 'THEN', 'LATER', '1e400'),
  ath: mostly('ATH', 'x'),
  exp: mostly(undefined, 'LATER', 'THEN'),
  nbf: mostly(undefined, 'LATER', 'THEN'),
  jti: mostly('JTI', ''),
});

let proofs = 0;
const used = new Set<unknown>();

/** Inserts the values that are known only when the proof is made. */
function write(members: Drawn): string {
  const { jwk } = scene.client;
  return JSON.stringify(members)
    .replace('"JWK"', JSON.stringify(jwk))
    .replace('"ALTERED"', JSON.stringify({ ...jwk, x: jwk.y }))
    .replace('"PRIVATE"', JSON.stringify({ ...jwk, d: jwk.x }))
    .replace('"ATH"', JSON.stringify(hashOf(scene.token)))
    .replace('"JTI"', `"proof ${++proofs}"`)
    .replace('"1e400"', '1e400')
    .replaceAll('"NOW"', String(now()))
    .replaceAll('"THEN"', String(now() - 100))
    .replaceAll('"LATER"', String(now() + 100));
}

/** The same rules, written independently. */
function isAcceptable(header: Drawn, claims: Drawn): boolean {
  const own = (name: string): unknown => (Object.keys(claims).includes(name) ? claims[name] : undefined);
  const has = (name: string): boolean => own(name) !== undefined;
  const isWithin = (name: string, from: number, to: number): boolean => {
    const value = own(name);
    return typeof value === 'number' && value - now() >= from && value - now() <= to;
  };
  return [
    header.typ === 'dpop+jwt',
    header.alg === 'ES256',
    JSON.stringify(header.jwk) === JSON.stringify(scene.client.jwk),
    !Object.keys(header).includes('crit'),
    own('htm') === 'GET',
    own('htu') === `${BASE_URL}/`,
    own('ath') === hashOf(scene.token),
    typeof own('jti') === 'string' && own('jti') !== '',
    isWithin('iat', -50, 5),
    !has('exp') || isWithin('exp', 1, Number.MAX_VALUE),
    !has('nbf') || isWithin('nbf', -Number.MAX_VALUE, 5),
  ].every(Boolean);
}

describe('a proof that the client signed', () => {
  it('is rejected if it consists of random JSON', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 3 }), fc.json({ maxDepth: 3 }), async (header, payload) => {
        expectRejection(await send(await signRaw(header, payload, scene.client.key)));
      }),
      RUNS,
    );
  });

  it('is accepted if and only if it is valid', async () => {
    const outcomes = { good: 0, bad: 0 };
    await fc.assert(
      fc.asyncProperty(drawnHeader, drawnClaims, more, more, async (header, claims, moreHeader, moreClaims) => {
        const texts = [write({ ...moreHeader, ...header }), write({ ...moreClaims, ...claims })] as const;
        const response = await send(await signRaw(...texts, scene.client.key));
        const [readHeader, readClaims] = texts.map((text) => JSON.parse(text) as Drawn);
        const jti = readClaims?.jti;
        if (isAcceptable(readHeader ?? {}, readClaims ?? {}) && !used.has(jti)) {
          used.add(jti);
          outcomes.good++;
          expect([response.status, response.body]).toEqual([200, '"DPoP"']);
        } else {
          outcomes.bad++;
          expectRejection(response);
        }
      }),
      { numRuns: 500 },
    );
    // Otherwise the test would check little.
    expect(Math.min(outcomes.good, outcomes.bad)).toBeGreaterThan(50);
  });
});
