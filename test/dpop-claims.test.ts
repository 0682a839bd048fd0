import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import {
  BASE_URL,
  DpopClient,
  expectAdmitted,
  expectBindingRefused,
  expectFault,
  expectProofRefused,
  hashOf,
  now,
  present,
  type ProofChanges,
  serveDpop,
  setScene,
} from './dpop.js';

const scene = setScene();

describe('§4.3 8: htm is the method of the request', () => {
  it.each(['POST', 'HEAD', 'OPTIONS', 'get', 'Get', 'GET ', ' GET', ''])('and not %j', async (htm) => {
    await expectFault(scene, 'proof_method_mismatch', () => scene.prove({ claims: { htm } }));
  });

  it.each(['head', 'options', 'post', 'delete'] as const)('and not GET where that is %s', async (method) => {
    const app = serveDpop(scene.issuer);
    const send = async (htm: string): Promise<supertest.Response> => {
      const proof = await scene.prove({ claims: { htm } });
      return supertest(app)[method]('/').set('Authorization', `DPoP ${scene.token}`).set('DPoP', proof);
    };
    expect([(await send('GET')).status, (await send(method.toUpperCase())).status]).toEqual([401, 200]);
  });

  it('and not the method that a header field or a parameter speaks of', async () => {
    const app = serveDpop(scene.issuer);
    const proof = await scene.prove({ claims: { htm: 'POST' } });
    const sent = present(app, scene.token, proof).set('X-HTTP-Method-Override', 'POST').query({ _method: 'POST' });
    await expectProofRefused(app, sent, 'proof_method_mismatch');
    await expectAdmitted(app, present(app, scene.token, await scene.prove()));
  });
});

describe('§4.3 9: htu is the URI of the request', () => {
  it.each([
    ['with http', 'http://api.example.com/'],
    ['at another host', 'https://api.example.org/'],
    ['at a host above', 'https://example.com/'],
    ['at a host below', 'https://www.api.example.com/'],
    ['at a host that is fully qualified', 'https://api.example.com./'],
    ['at another port', 'https://api.example.com:8443/'],
    ['at another path', `${BASE_URL}/orders`],
    ['with two slashes', `${BASE_URL}//`],
    ['with a user', 'https://user@api.example.com/'],
    ['with a user and a password', 'https://user:pass@api.example.com/'],
    ['with a password', 'https://:pass@api.example.com/'],
    ['at a host that only looks like a user', 'https://api.example.com@evil.example/'],
    ['that is a path', '/'],
    ['without a scheme', '//api.example.com/'],
    ['that is a host', 'api.example.com'],
    ['of another scheme', 'wss://api.example.com/'],
    ['that is empty', ''],
    ['that is text', 'anything'],
    ['that is several', `${BASE_URL}/ ${BASE_URL}/`],
  ])('and not one %s', async (_, htu) => {
    await expectFault(scene, 'proof_uri_mismatch', () => scene.prove({ claims: { htu } }));
  });
});

describe('§4.3 11: the proof was made within an acceptable window', () => {
  it.each<[string, () => Record<string, unknown>]>([
    ['a minute and more ago', () => ({ iat: now() - 70 })],
    ['at the beginning', () => ({ iat: 0 })],
    ['before the beginning', () => ({ iat: -now() })],
    ['and has expired', () => ({ exp: now() - 1 })],
    ['and has long expired', () => ({ exp: 0 })],
  ])('and not %s', async (_, claims) => {
    await expectFault(scene, 'proof_too_old', () => scene.prove({ claims: claims() }));
  });

  it.each<[string, () => Record<string, unknown>]>([
    ['in the future', () => ({ iat: now() + 20 })],
    ['in milliseconds', () => ({ iat: Date.now() })],
    ['in a future beyond all calendars', () => ({ iat: 1e308 })],
    ['for later', () => ({ nbf: now() + 20 })],
  ])('and not %s', async (_, claims) => {
    await expectFault(scene, 'proof_issued_in_future', () => scene.prove({ claims: claims() }));
  });

  it.each(['exp', 'nbf'])('and has an %s that is a number if it has one', async (name) => {
    for (const value of [null, String(now()), [now()], {}, true]) {
      await expectFault(scene, 'proof_malformed', () => scene.prove({ claims: { [name]: value } }));
    }
    const app = serveDpop(scene.issuer);
    const good = await scene.prove({ claims: { exp: now() + 30, nbf: now() - 30 } });
    await expectAdmitted(app, present(app, scene.token, good));
  });
});

describe('§4.3 12a: ath is the hash of the access token', () => {
  it.each<[string, (token: string) => string]>([
    ['of another token', () => hashOf('another')],
    ['of nothing', () => hashOf('')],
    ['with the scheme', (token) => hashOf(`DPoP ${token}`)],
    ['cut short', (token) => hashOf(token).slice(0, -1)],
    ['with padding', (token) => `${hashOf(token)}=`],
    ['in hex', (token) => createHash('sha256').update(token).digest('hex')],
    ['by SHA-512', (token) => createHash('sha512').update(token).digest('base64url')],
    ['by half of SHA-256, as in ID tokens', (token) => hashOf(token).slice(0, 22)],
    ['that is the token', (token) => token],
    ['that is empty', () => ''],
  ])('and not one %s', async (_, ath) => {
    await expectFault(scene, 'proof_token_mismatch', () => scene.prove({ claims: { ath: ath(scene.token) } }));
  });

  it('and not that of another token that is bound to the same key', async () => {
    const other = await scene.issuer.issue({ cnf: scene.client.cnf });
    await expectFault(scene, 'proof_token_mismatch', () => scene.client.prove(other));
  });
});

describe('§4.3 12b: the key of the proof is the one that the token is bound to', () => {
  it('and not that of another client', async () => {
    const app = serveDpop(scene.issuer);
    const other = await DpopClient.make();
    const stolen = (): Promise<string> => other.prove(scene.token);
    await expectBindingRefused(app, present(app, scene.token, await stolen()), 'binding_mismatch');
    await expectAdmitted(app, present(app, scene.token, await scene.prove()));
    await expectBindingRefused(app, present(app, scene.token, await stolen()), 'binding_mismatch');
  });

  it('and not that of another client whose key is known', async () => {
    const app = serveDpop(scene.issuer);
    const other = await DpopClient.make();
    const own = await scene.issuer.issue({ cnf: other.cnf });
    await expectAdmitted(app, present(app, own, await other.prove(own)));
    await expectBindingRefused(app, present(app, scene.token, await other.prove(scene.token)), 'binding_mismatch');
  });

  it.each<[string, (client: DpopClient) => string]>([
    ['in other case', ({ thumbprint }) => thumbprint.toUpperCase()],
    ['with padding', ({ thumbprint }) => `${thumbprint}=`],
    ['cut short', ({ thumbprint }) => thumbprint.slice(0, -1)],
    ['in hex', ({ thumbprint }) => Buffer.from(thumbprint, 'base64url').toString('hex')],
  ])('and the thumbprint is not taken %s', async (_, jkt) => {
    const app = serveDpop(scene.issuer);
    const bound = await scene.issuer.issue({ cnf: { jkt: jkt(scene.client) } });
    await expectBindingRefused(app, present(app, bound, await scene.client.prove(bound)), 'binding_mismatch');
    await expectAdmitted(app, present(app, scene.token, await scene.prove()));
  });

  it('and the client cannot choose it by naming the key that the token is bound to', async () => {
    const other = await DpopClient.make();
    const changes: ProofChanges = { header: { jwk: scene.client.jwk }, signer: other.key };
    await expectFault(scene, 'proof_signature_mismatch', () => other.prove(scene.token, changes));
  });
});
