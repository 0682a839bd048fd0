import { describe, expect, it } from '@jest/globals';
import { InvalidDpopProofError, type InvalidDpopProofReason } from '../../lib/index.js';
import {
  ALGS,
  challengeOn,
  expectAccepted,
  expectProofAlwaysRejected,
  expectProofRejected,
  now,
  present,
  serveDpop,
  createScene,
} from '../support/dpop.js';
import { base64url, getRaw, handled, listen } from '../support/helpers.js';

const scene = createScene();

describe('§4.3 1: there must be exactly one DPoP header field', () => {
  it.each<[string, InvalidDpopProofReason, (good: () => Promise<string>) => Promise<string[]>]>([
    ['none', 'proof_missing', () => Promise.resolve([])],
    ['two', 'several_proofs', async (good) => ['DPoP', await good(), 'DPoP', await good()]],
    [
      'the same proof twice',
      'several_proofs',
      async (good) => ((proof) => ['DPoP', proof, 'DPoP', proof])(await good()),
    ],
    ['two in different spellings', 'several_proofs', async (good) => ['dpop', await good(), 'DPOP', await good()]],
    ['a valid and an empty field', 'several_proofs', async (good) => ['DPoP', await good(), 'DPoP', '']],
    ['an empty and a valid field', 'several_proofs', async (good) => ['DPoP', '', 'DPoP', await good()]],
  ])('rejects %s', async (_, reason, fields) => {
    const app = serveDpop(scene.issuer);
    const port = await listen(app);
    const authorization = ['Authorization', `DPoP ${scene.token}`];
    const response = await getRaw(port, [...authorization, ...(await fields(scene.prove))]);
    const { code = '', message } = new InvalidDpopProofError(reason);
    expect([response.status, handled(app)]).toEqual([401, 0]);
    expect(challengeOn('DPoP', response)).toEqual({ error: code, error_description: message, algs: ALGS });
    expect((await getRaw(port, [...authorization, 'dpop', await scene.prove()])).status).toBe(200);
  });
});

/** Changes the text of a valid proof. */
const segments = (change: (header: string, payload: string, signature: string) => string) => (proof: string) => {
  const [header = '', payload = '', signature = ''] = proof.split('.');
  return change(header, payload, signature);
};

describe('§4.3 2: the value must be one well-formed JWT', () => {
  it.each<[string, (good: string) => string]>([
    ['two, joined by a comma and a space', (good) => `${good}, ${good}`],
    ['two, joined by a comma', (good) => `${good},${good}`],
    ['two, joined by a space', (good) => `${good} ${good}`],
    ['an empty value', () => ''],
    ['text that is not a JWT', () => 'proof'],
    ['dots', () => '..'],
    ['one segment', segments((header) => header)],
    ['two segments', segments((header, payload) => `${header}.${payload}`)],
    ['four segments', (good) => `${good}.e30`],
    ['five segments, like a JWE', segments((...three) => [...three, 'e30', 'e30'].join('.'))],
    ['no header', segments((_, payload, signature) => `.${payload}.${signature}`)],
    ['no payload', segments((header, _, signature) => `${header}..${signature}`)],
    ['an empty signature', segments((header, payload) => `${header}.${payload}.`)],
    ['a scheme before it', (good) => `DPoP ${good}`],
    ['quotes around it', (good) => `"${good}"`],
    ['a folded line', segments((...three) => three.join('.\t'))],
    ['padding', segments((header, payload, signature) => `${header}.${payload}.${signature}==`)],
    ['a header in base64', segments((header, payload, signature) => `${header}+/.${payload}.${signature}`)],
    ['a payload with an impossible length', segments((header, _, signature) => `${header}.aaaaa.${signature}`)],
    ['a header that is an array', segments((_, payload, signature) => `${base64url('[]')}.${payload}.${signature}`)],
    ['a header that is null', segments((_, payload, signature) => `${base64url('null')}.${payload}.${signature}`)],
    ['a header that is not JSON', segments((_, payload, signature) => `${base64url('{')}.${payload}.${signature}`)],
    ['a payload that is an array', segments((header, _, signature) => `${header}.${base64url('[{}]')}.${signature}`)],
    ['a payload that is a string', segments((header, _, signature) => `${header}.${base64url('"x"')}.${signature}`)],
    ['a payload that is not UTF-8', segments((header, _, signature) => `${header}._w.${signature}`)],
    [
      'JSON serialization',
      segments((...[p, payload, signature]) => JSON.stringify({ protected: p, payload, signature })),
    ],
  ])('rejects %s', async (_, change) => {
    await expectProofAlwaysRejected(scene, 'proof_malformed', async () => change(await scene.prove()));
  });

  it('rejects more than 8,192 bytes', async () => {
    const app = serveDpop(scene.issuer);
    const padded = async (length: number): Promise<string> => {
      const { length: least } = await scene.prove({ claims: { pad: '' } });
      // Three bytes become four characters.
      return scene.prove({ claims: { pad: 'x'.repeat(Math.floor(((length - least) * 3) / 4)) } });
    };
    const [largest, tooLarge] = [await padded(8_190), await padded(8_200)];
    expect([largest.length > 8_180, largest.length <= 8_192, tooLarge.length > 8_192]).toEqual([true, true, true]);
    await expectAccepted(app, present(app, scene.token, largest));
    await expectProofRejected(app, present(app, scene.token, tooLarge), 'proof_malformed');
  });

  it.each<[string, Record<string, unknown>]>([
    ['a critical extension', { crit: ['x'], x: 1 }],
    ['a critical claim', { crit: ['exp'], exp: 1 }],
    ['an unencoded payload', { crit: ['b64'], b64: false }],
    ['an empty crit', { crit: [] }],
    ['a crit that is a string', { crit: 'x' }],
    ['a crit that is null', { crit: null }],
  ])('rejects a header with %s', async (_, header) => {
    // Signed without jose, which rejects some of these headers.
    await expectProofAlwaysRejected(scene, 'proof_malformed', () => scene.prove({ header, payload: (json) => json }));
  });
});

const NOT_A_STRING: readonly [string, unknown][] = [
  ['missing', undefined],
  ['null', null],
  ['a number', 1],
  ['true', true],
  ['an array', ['GET']],
  ['an object', {}],
];

describe('§4.3 3: all required claims must be present', () => {
  const strings = ['jti', 'htm', 'htu', 'ath'].flatMap((name) =>
    NOT_A_STRING.map(([what, value]) => [name, what, value]),
  );
  it.each([...strings, ['jti', 'empty', '']])('rejects a proof whose %s is %s', async (name, _, value) => {
    await expectProofAlwaysRejected(scene, 'proof_malformed', () =>
      scene.prove({ claims: { [name as string]: value } }),
    );
  });

  it.each<[string, unknown]>([
    ['missing', undefined],
    ['null', null],
    ['a string', String(now())],
    ['the string NaN', 'NaN'],
    ['true', true],
    ['an array', [now()]],
    ['a date', new Date()],
  ])('rejects a proof whose iat is %s', async (_, iat) => {
    await expectProofAlwaysRejected(scene, 'proof_malformed', () => scene.prove({ claims: { iat } }));
  });

  it('rejects an iat that is parsed as Infinity', async () => {
    const payload = (json: string): string => json.replace(/"iat":\d+/, '"iat":1e400');
    await expectProofAlwaysRejected(scene, 'proof_malformed', () => scene.prove({ payload }));
  });

  it.each(['jti', 'htm', 'htu', 'ath', 'iat'])('rejects an inherited %s', async (name) => {
    const payload = (json: string): string => {
      const { [name]: value, ...others } = JSON.parse(json) as Record<string, unknown>;
      return `{"__proto__":${JSON.stringify({ [name]: value })},${JSON.stringify(others).slice(1)}`;
    };
    await expectProofAlwaysRejected(scene, 'proof_malformed', () => scene.prove({ payload }));
  });
});
