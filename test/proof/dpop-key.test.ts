import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { describe, it } from '@jest/globals';
import type { Express } from 'express';
import { calculateJwkThumbprint, type JWK } from 'jose';
import type { Test } from 'supertest';
import { makeSigningKey } from '../../lib/testing/issuer.js';
import {
  BASE_URL,
  DpopClient,
  expectAccepted,
  expectProofAlwaysRejected,
  expectProofRejected,
  hashOf,
  now,
  present,
  serveDpop,
  createScene,
} from '../support/dpop.js';
import { base64url, signWithSecret } from '../support/helpers.js';
import { SMALL_ORDER } from '../support/small-order.js';

const scene = createScene();

describe('§4.3 4: typ must be dpop+jwt', () => {
  it.each([[undefined], [null], ['JWT'], ['at+jwt'], ['jwt'], ['dpop'], [''], ['dpop+jwt '], [['dpop+jwt']], [1]])(
    'rejects %j',
    async (typ) => {
      await expectProofAlwaysRejected(scene, 'proof_type_refused', () => scene.prove({ header: { typ } }));
    },
  );
});

describe('§4.3 5: alg must be an accepted asymmetric algorithm', () => {
  it.each([
    [undefined],
    [null],
    [''],
    ['none'],
    ['None'],
    ['HS256'],
    ['es256'],
    ['ES256K'],
    ['RSA-OAEP'],
    ['toString'],
    [['ES256']],
    [0],
  ])('rejects %j', async (alg) => {
    await expectProofAlwaysRejected(scene, 'proof_algorithm_refused', () => scene.prove({ header: { alg } }));
  });

  it.each(['', 'AAAA'])('rejects none with the signature %j', async (signature) => {
    const reason = signature === '' ? 'proof_malformed' : 'proof_algorithm_refused';
    await expectProofAlwaysRejected(scene, reason, async () => {
      const [header, payload] = (await scene.prove({ header: { alg: 'none' } })).split('.');
      return `${header ?? ''}.${payload ?? ''}.${signature}`;
    });
  });

  it('rejects a MAC whose secret is the public key', async () => {
    const claims = { jti: randomUUID(), htm: 'GET', htu: `${BASE_URL}/`, iat: now(), ath: hashOf(scene.token) };
    const header = { typ: 'dpop+jwt', jwk: scene.client.jwk };
    await expectProofAlwaysRejected(scene, 'proof_algorithm_refused', () =>
      signWithSecret(256, claims, JSON.stringify(scene.client.jwk), header),
    );
  });

  it('rejects an algorithm that the API does not accept', async () => {
    const app = serveDpop(scene.issuer, { algorithms: ['PS256'] });
    await expectProofRejected(app, present(app, scene.token, await scene.prove()), 'proof_algorithm_refused', 'PS256');
    const other = await DpopClient.make('PS256');
    const bound = await scene.issuer.issue({ cnf: other.cnf });
    await expectAccepted(app, present(app, bound, await other.prove(bound)));
  });
});

describe('§4.3 6: the signature must verify with the key in jwk', () => {
  it('rejects the signature of another key', async () => {
    await expectProofAlwaysRejected(scene, 'proof_signature_mismatch', async () =>
      scene.prove({ signer: await makeSigningKey() }),
    );
  });

  it.each<[string, (header: string, payload: string, signature: string) => string]>([
    ['for another payload', (header, payload, signature) => `${header}.${withMember(payload)}.${signature}`],
    ['for another header', (header, payload, signature) => `${withMember(header)}.${payload}.${signature}`],
    ['that is too short', (header, payload, signature) => `${header}.${payload}.${signature.slice(0, -2)}`],
    ['that is too long', (header, payload, signature) => `${header}.${payload}.${signature}AA`],
    ['of zeros', (header, payload) => `${header}.${payload}.${base64url(new Uint8Array(64))}`],
    ['of one byte', (header, payload) => `${header}.${payload}.AA`],
  ])('rejects a signature %s', async (_, change) => {
    await expectProofAlwaysRejected(scene, 'proof_signature_mismatch', async () => {
      const [header = '', payload = '', signature = ''] = (await scene.prove()).split('.');
      return change(header, payload, signature);
    });
  });

  it('rejects the signature of another proof', async () => {
    await expectProofAlwaysRejected(scene, 'proof_signature_mismatch', async () => {
      const [one, other] = [(await scene.prove()).split('.'), (await scene.prove()).split('.')];
      return [...one.slice(0, 2), other[2]].join('.');
    });
  });

  it('rejects a signature of another key below a cached header', async () => {
    const app = serveDpop(scene.issuer);
    await expectAccepted(app, present(app, scene.token, await scene.prove()));
    const forged = await scene.prove({ signer: await makeSigningKey() });
    await expectProofRejected(app, present(app, scene.token, forged), 'proof_signature_mismatch');
  });
});

function withMember(segment: string): string {
  const members = JSON.parse(Buffer.from(segment, 'base64url').toString()) as object;
  return base64url(JSON.stringify({ ...members, more: 'x' }));
}

/** Sends a proof that is signed with a key of Node, without the checks of jose, for a token that is bound to this JWK. */
async function sendWith(jwk: JWK, key: KeyObject, alg = 'ES256'): Promise<[Express, Test]> {
  const bound = await scene.issuer.issue({ cnf: { jkt: await calculateJwkThumbprint(jwk) } });
  const claims = { jti: randomUUID(), htm: 'GET', htu: `${BASE_URL}/`, iat: now(), ath: hashOf(bound) };
  const parts = [{ typ: 'dpop+jwt', alg, jwk }, claims].map((part) => base64url(JSON.stringify(part)));
  const signature = sign('sha256', Buffer.from(parts.join('.')), { key, dsaEncoding: 'ieee-p1363' });
  const app = serveDpop(scene.issuer);
  return [app, present(app, bound, [...parts, base64url(signature)].join('.'))];
}

const publicJwk = (key: KeyObject): JWK => key.export({ format: 'jwk' });

describe('§4.3 7: jwk must be a public key', () => {
  it.each<[string, unknown]>([
    ['missing', undefined],
    ['null', null],
    ['text', 'key'],
    ['an array', []],
    ['empty', {}],
    ['symmetric', { kty: 'oct', k: 'AAAA' }],
    ['of an unknown type', { kty: 'XYZ', crv: 'P-256', x: 'AA', y: 'AA' }],
    ['of a type in lower case', { kty: 'ec', crv: 'P-256', x: 'AA', y: 'AA' }],
  ])('rejects a jwk that is %s', async (_, jwk) => {
    await expectProofAlwaysRejected(scene, 'proof_key_refused', () => scene.prove({ header: { jwk } }));
  });

  it.each(['d', 'k', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'priv'])(
    'rejects a jwk with the private member %s',
    async (name) => {
      for (const value of [(await makeSigningKey()).kid, '', null]) {
        await expectProofAlwaysRejected(scene, 'proof_key_refused', () =>
          scene.prove({ header: { jwk: { ...scene.client.jwk, [name]: value } } }),
        );
      }
    },
  );

  it.each(SMALL_ORDER)('rejects a key of a small order, because everybody can sign for it: %s', async (x) => {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x };
    await expectProofAlwaysRejected(scene, 'proof_key_refused', () => scene.prove({ header: { alg: 'EdDSA', jwk } }));
  });

  it('rejects the private key', async () => {
    const jwk = await crypto.subtle.exportKey('jwk', scene.client.key.privateKey);
    await expectProofAlwaysRejected(scene, 'proof_key_refused', () => scene.prove({ header: { jwk } }));
  });

  it.each<[string, number, 200 | 401]>([
    ['accepted: 2,048 bits', 2048, 200],
    ['rejected: 1,024 bits', 1024, 401],
    ['rejected: 2,047 bits', 2047, 401],
    ['accepted: 4,096 bits', 4096, 200],
    ['rejected: 4,104 bits, because its verification is expensive', 4104, 401],
  ])('limits the size of RSA keys: %s', async (_, bits, status) => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: bits });
    const [app, sent] = await sendWith(publicJwk(publicKey), privateKey, 'RS256');
    if (status === 200) await expectAccepted(app, sent);
    else await expectProofRejected(app, sent, 'proof_key_refused');
  });

  it.each([
    ['32 bits', '_____w', 'proof_signature_mismatch'],
    ['33 bits', 'AQAAAAE', 'proof_key_refused'],
    ['72 bits', '____________', 'proof_key_refused'],
  ] as const)('limits the exponent of RSA keys to 32 bits: %s', async (_, e, reason) => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const [app, sent] = await sendWith({ ...publicJwk(publicKey), e }, privateKey, 'RS256');
    await expectProofRejected(app, sent, reason);
  });

  it.each<[string, (good: JWK) => JWK]>([
    ['a point that is not on the curve', (good) => ({ ...good, y: good.x ?? '' })],
    ['the point at infinity', (good) => ({ ...good, x: 'A'.repeat(43), y: 'A'.repeat(43) })],
    ['a coordinate that is too short', (good) => ({ ...good, x: 'AA' })],
    ['a coordinate that is not base64url', (good) => ({ ...good, x: '!' })],
    ['another curve', (good) => ({ ...good, crv: 'P-384' })],
    ['an unknown curve', (good) => ({ ...good, crv: 'P-999' })],
    ['another use', (good) => ({ ...good, use: 'enc' })],
    ['another operation', (good) => ({ ...good, key_ops: ['encrypt'] })],
    ['another algorithm', (good) => ({ ...good, alg: 'ECDH-ES' })],
  ])('rejects a key with %s', async (_, change) => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const good = publicJwk(publicKey);
    const [app, sent] = await sendWith(change(good), privateKey);
    await expectProofRejected(app, sent, 'proof_key_refused');
    const [twinApp, twin] = await sendWith(good, privateKey);
    await expectAccepted(twinApp, twin);
  });

  it.each([{ use: 'sig', key_ops: ['verify'], alg: 'ES256', kid: '1', ext: true }, { key_ops: ['sign', 'verify'] }])(
    'accepts a key whose members allow it to verify signatures of this algorithm: %j',
    async (members) => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      await expectAccepted(...(await sendWith({ ...publicJwk(publicKey), ...members }, privateKey)));
    },
  );

  it.each([
    ['EdDSA', 'Ed25519'],
    ['Ed25519', 'EdDSA'],
  ])('accepts both names of one algorithm: %s in the JWK, %s in the proof', async (inJwk, inProof) => {
    const client = await DpopClient.make(inProof);
    const bound = await scene.issuer.issue({ cnf: client.cnf });
    const proof = await client.prove(bound, { header: { jwk: { ...client.jwk, alg: inJwk } } });
    const app = serveDpop(scene.issuer);
    await expectAccepted(app, present(app, bound, proof));
  });

  it.each(['ES384', 'RS256', 'PS256', 'EdDSA'])('rejects a key on P-256 if alg is %s', async (alg) => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const [app, sent] = await sendWith(publicJwk(publicKey), privateKey, alg);
    await expectProofRejected(app, sent, 'proof_key_refused');
    const [twinApp, twin] = await sendWith(publicJwk(publicKey), privateKey);
    await expectAccepted(twinApp, twin);
  });
});
