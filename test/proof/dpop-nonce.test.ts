import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Express } from 'express';
import type { Response } from 'supertest';
import { Nonces } from '../../lib/proof/nonces.js';
import { expectAccepted, expectProofRejected, now, present, serveDpop, createScene } from '../support/dpop.js';
import { base64url, handled } from '../support/helpers.js';
import { advance, simulateTime } from '../support/time.js';

const SECRET = 'correct-horse-battery-staple-and-so-on';
// RFC 9449 §8.1: nonce = 1*NQCHAR. A comma or a space would mean several joined values.
const ONE_NONCE = /^[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]+$/;

const scene = createScene();

simulateTime();

beforeEach(() => {
  // Starts at a full second, so that the limits of the tests are exact.
  jest.setSystemTime(now() * 1000 + 1000);
});

/** The only nonce of a response, which must not be cached. */
function nonceOf(response: Response): string {
  const nonce: unknown = response.headers['dpop-nonce'];
  expect(nonce).toEqual(expect.stringMatching(ONE_NONCE));
  expect(response.headers['cache-control']).toBe('no-store');
  return nonce as string;
}

async function obtain(app: Express): Promise<string> {
  const sent = present(app, scene.token, await scene.prove());
  return nonceOf(await expectProofRejected(app, sent, 'proof_nonce_missing'));
}

async function send(app: Express, nonce: unknown): Promise<Response> {
  return present(app, scene.token, await scene.prove({ claims: { nonce } }));
}

/** Expects a rejection with a valid nonce. */
async function expectNonceRejected(app: Express, nonce: unknown): Promise<void> {
  const sent = present(app, scene.token, await scene.prove({ claims: { nonce } }));
  const response = await expectProofRejected(app, sent, 'proof_nonce_refused');
  expect((response.body as { error: string }).error).toBe('use_dpop_nonce');
  expect((await send(app, nonceOf(response))).status).toBe(200);
}

describe('§4.3 10: the nonce of this server', () => {
  it('is required, and accepted in the next proof', async () => {
    const app = serveDpop(scene.issuer, { nonce: true });
    const rejected = await expectProofRejected(
      app,
      present(app, scene.token, await scene.prove()),
      'proof_nonce_missing',
    );
    expect((rejected.body as { error: string }).error).toBe('use_dpop_nonce');
    const nonce = nonceOf(rejected);
    for (let i = 0; i < 3; i++) {
      const accepted = await expectAccepted(app, present(app, scene.token, await scene.prove({ claims: { nonce } })));
      expect(accepted.headers['dpop-nonce']).toBeUndefined();
    }
  });

  it.each<[string, unknown]>([
    ['empty', ''],
    ['text', 'nonce'],
    ['a number', 1],
    ['null', null],
    ['true', true],
    ['an array', ['nonce']],
    ['an object', {}],
    ['of the right length', base64url(new Uint8Array(22))],
    ['random', base64url(randomBytes(22))],
    ['very long', 'A'.repeat(4_000)],
  ])('rejects a nonce that is %s', async (_, nonce) => {
    await expectNonceRejected(serveDpop(scene.issuer, { nonce: true }), nonce);
  });

  it('rejects a part of a nonce and a nonce with additional characters', async () => {
    const app = serveDpop(scene.issuer, { nonce: true });
    const nonce = await obtain(app);
    for (const other of [nonce.slice(1), nonce.slice(0, -1), `${nonce}A`, `A${nonce}`, `${nonce}=`, `${nonce} `]) {
      await expectNonceRejected(app, other);
    }
    for (const other of [[nonce], `${nonce},${nonce}`, nonce.toLowerCase(), nonce.toUpperCase()]) {
      await expectNonceRejected(app, other);
    }
    expect((await send(app, nonce)).status).toBe(200);
  });

  it('rejects a nonce with one changed character, at each position', async () => {
    const app = serveDpop(scene.issuer, { nonce: true });
    const nonce = await obtain(app);
    expect(nonce.length).toBeGreaterThan(20);
    for (let at = 0; at < nonce.length; at++) {
      // One changed bit, another letter, and characters that a lenient decoder ignores or reads as another alphabet.
      for (const letter of [next(nonce.charAt(at)), nonce.charAt(at) === 'A' ? 'B' : 'A', '!', '+']) {
        const altered = nonce.slice(0, at) + letter + nonce.slice(at + 1);
        await expectProofRejected(
          app,
          present(app, scene.token, await scene.prove({ claims: { nonce: altered } })),
          'proof_nonce_refused',
        );
      }
    }
    expect((await send(app, nonce)).status).toBe(200);
  });

  it('is not required without the option nonce', async () => {
    const app = serveDpop(scene.issuer);
    const response = await send(app, 'anything');
    expect([response.status, response.headers['dpop-nonce']]).toEqual([200, undefined]);
    const rejected = await expectProofRejected(app, present(app, scene.token, 'x'), 'proof_malformed');
    expect(rejected.headers['dpop-nonce']).toBeUndefined();
  });

  it('does not make an invalid proof valid', async () => {
    const app = serveDpop(scene.issuer, { nonce: true });
    const nonce = await obtain(app);
    const bad = await scene.prove({ claims: { nonce, htm: 'POST' } });
    await expectProofRejected(app, present(app, scene.token, bad), 'proof_method_mismatch');
    const proof = await scene.prove({ claims: { nonce } });
    await expectAccepted(app, present(app, scene.token, proof));
    await expectProofRejected(app, present(app, scene.token, proof), 'proof_replayed');
  });
});

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** The character that differs only in the last bit. */
function next(character: string): string {
  return ALPHABET.charAt(ALPHABET.indexOf(character) ^ 1);
}

describe('the age of a nonce', () => {
  it.each([
    [undefined, 150, 300],
    [10, 5, 10],
    [3_600, 1_800, 3_600],
  ])('with nonceMaxAge %s: replaced after %d seconds and rejected after %d', async (nonceMaxAge, renewal, end) => {
    const app = serveDpop(scene.issuer, { nonce: true, ...(nonceMaxAge === undefined ? {} : { nonceMaxAge }) });
    const nonce = await obtain(app);

    await advance({ seconds: renewal });
    const early = await send(app, nonce);
    expect([early.status, early.headers['dpop-nonce']]).toEqual([200, undefined]);
    expect(early.headers['cache-control']).toBeUndefined();

    await advance({ seconds: 1 });
    const late = await send(app, nonce);
    expect(late.status).toBe(200);
    const renewed = nonceOf(late);
    expect(renewed).not.toBe(nonce);
    const after = await send(app, renewed);
    expect([after.status, after.headers['dpop-nonce']]).toEqual([200, undefined]);

    await advance({ seconds: end - renewal - 1 });
    expect((await send(app, nonce)).status).toBe(200);
    await advance({ seconds: 1 });
    await expectNonceRejected(app, nonce);
    expect((await send(app, renewed)).status).toBe(200);
  });

  it('is renewed for a client that always uses its last nonce', async () => {
    const app = serveDpop(scene.issuer, { nonce: true, nonceMaxAge: 60 });
    let nonce = await obtain(app);
    for (let time = 0; time < 600; time += 20) {
      await advance({ seconds: 20 });
      const response = await send(app, nonce);
      expect(response.status).toBe(200);
      nonce = response.headers['dpop-nonce'] ?? nonce;
    }
  });

  it('is rejected when it is too old', async () => {
    const app = serveDpop(scene.issuer, { nonce: true, nonceMaxAge: 10 });
    const nonce = await obtain(app);
    await advance({ seconds: 200 });
    await expectNonceRejected(app, nonce);
  });
});

describe('nonces of several processes', () => {
  const pair = (one: object, other: object): [Express, Express] => [
    serveDpop(scene.issuer, { nonce: true, ...one }),
    serveDpop(scene.issuer, { nonce: true, ...other }),
  ];

  it.each<[string, string | Uint8Array, string | Uint8Array]>([
    ['text', SECRET, SECRET],
    ['bytes', Buffer.from(SECRET), new Uint8Array(Buffer.from(SECRET))],
    ['text and bytes', SECRET, Buffer.from(SECRET)],
  ])('are accepted by processes with the same secret: %s', async (_, one, other) => {
    const [here, there] = pair({ secret: one }, { secret: other });
    expect((await send(there, await obtain(here))).status).toBe(200);
    expect((await send(here, await obtain(there))).status).toBe(200);
  });

  it.each<[string, object, object]>([
    ['another secret', { secret: SECRET }, { secret: `${SECRET}!` }],
    ['a secret on one side only', { secret: SECRET }, {}],
    ['no secret', {}, {}],
    ['another lifetime', { secret: SECRET }, { secret: SECRET, nonceMaxAge: 3_600 }],
  ])('are rejected by processes with %s', async (_, one, other) => {
    const [here, there] = pair(one, other);
    await expectNonceRejected(there, await obtain(here));
    await expectNonceRejected(here, await obtain(there));
  });

  it('do not change if the application changes the bytes of the secret', async () => {
    const secret = Uint8Array.from(Buffer.from(SECRET));
    const [here, there] = pair({ secret }, { secret: SECRET });
    secret.fill(0);
    expect((await send(there, await obtain(here))).status).toBe(200);
    expect(handled(there)).toBe(1);
  });

  it.each([
    [-5, true],
    [-6, false],
    [0, true],
    [300, true],
    [301, false],
  ])('tolerate clocks that differ by a few seconds: %d (%s)', (age, isGood) => {
    const options = { secret: SECRET, maxAge: 300 };
    for (const time of [1_800_000_000, 1_800_000_299, 1_800_000_300 - 1, 0x7fff_ffff, 0xffff_ffff]) {
      const nonce = new Nonces({ ...options, clock: () => time }).make();
      const found = new Nonces({ ...options, clock: () => time + age }).ageOf(nonce);
      expect(found).toBe(isGood ? age : undefined);
    }
  });
});
