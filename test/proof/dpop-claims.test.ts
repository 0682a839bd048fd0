import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import {
  BASE_URL,
  DpopClient,
  expectAccepted,
  expectTokenRejected,
  expectProofAlwaysRejected,
  expectProofRejected,
  hashOf,
  now,
  present,
  type ProofChanges,
  serveDpop,
  createScene,
} from '../support/dpop.js';

const scene = createScene();

describe('§4.3 8: htm must be the method of the request', () => {
  it.each(['POST', 'HEAD', 'OPTIONS', 'get', 'Get', 'GET ', ' GET', ''])('rejects %j', async (htm) => {
    await expectProofAlwaysRejected(scene, 'proof_method_mismatch', () => scene.prove({ claims: { htm } }));
  });

  it.each(['head', 'options', 'post', 'delete'] as const)('rejects GET for the method %s', async (method) => {
    const app = serveDpop(scene.issuer);
    const send = async (htm: string): Promise<supertest.Response> => {
      const proof = await scene.prove({ claims: { htm } });
      return supertest(app)[method]('/').set('Authorization', `DPoP ${scene.token}`).set('DPoP', proof);
    };
    expect([(await send('GET')).status, (await send(method.toUpperCase())).status]).toEqual([401, 200]);
  });

  it('ignores a method in a header field or a parameter', async () => {
    const app = serveDpop(scene.issuer);
    const proof = await scene.prove({ claims: { htm: 'POST' } });
    const sent = present(app, scene.token, proof).set('X-HTTP-Method-Override', 'POST').query({ _method: 'POST' });
    await expectProofRejected(app, sent, 'proof_method_mismatch');
    await expectAccepted(app, present(app, scene.token, await scene.prove()));
  });
});

describe('§4.3 9: htu must be the URI of the request', () => {
  it.each([
    ['with http', 'http://api.example.com/'],
    ['at another host', 'https://api.example.org/'],
    ['with the parent domain', 'https://example.com/'],
    ['with a subdomain', 'https://www.api.example.com/'],
    ['with a fully qualified host', 'https://api.example.com./'],
    ['at another port', 'https://api.example.com:8443/'],
    ['at another path', `${BASE_URL}/orders`],
    ['with two slashes', `${BASE_URL}//`],
    ['with a user', 'https://user@api.example.com/'],
    ['with a user and a password', 'https://user:pass@api.example.com/'],
    ['with a password', 'https://:pass@api.example.com/'],
    ['whose user looks like the host', 'https://api.example.com@evil.example/'],
    ['that is a path', '/'],
    ['without a scheme', '//api.example.com/'],
    ['without a scheme and a path', 'api.example.com'],
    ['of another scheme', 'wss://api.example.com/'],
    ['that is empty', ''],
    ['that is not a URI', 'anything'],
    ['twice', `${BASE_URL}/ ${BASE_URL}/`],
  ])('rejects a URI %s', async (_, htu) => {
    await expectProofAlwaysRejected(scene, 'proof_uri_mismatch', () => scene.prove({ claims: { htu } }));
  });
});

describe('§4.3 11: the proof must be recent', () => {
  it.each<[string, () => Record<string, unknown>]>([
    ['that is more than a minute old', () => ({ iat: now() - 70 })],
    ['with iat 0', () => ({ iat: 0 })],
    ['with a negative iat', () => ({ iat: -now() })],
    ['that has expired', () => ({ exp: now() - 1 })],
    ['with exp 0', () => ({ exp: 0 })],
  ])('rejects a proof %s', async (_, claims) => {
    await expectProofAlwaysRejected(scene, 'proof_too_old', () => scene.prove({ claims: claims() }));
  });

  it.each<[string, () => Record<string, unknown>]>([
    ['with iat in the future', () => ({ iat: now() + 20 })],
    ['with iat in milliseconds', () => ({ iat: Date.now() })],
    ['with a huge iat', () => ({ iat: 1e308 })],
    ['with nbf in the future', () => ({ nbf: now() + 20 })],
  ])('rejects a proof %s', async (_, claims) => {
    await expectProofAlwaysRejected(scene, 'proof_issued_in_future', () => scene.prove({ claims: claims() }));
  });

  it.each(['exp', 'nbf'])('rejects an %s that is not a number', async (name) => {
    for (const value of [null, String(now()), [now()], {}, true]) {
      await expectProofAlwaysRejected(scene, 'proof_malformed', () => scene.prove({ claims: { [name]: value } }));
    }
    const app = serveDpop(scene.issuer);
    const good = await scene.prove({ claims: { exp: now() + 30, nbf: now() - 30 } });
    await expectAccepted(app, present(app, scene.token, good));
  });
});

describe('§4.3 12a: ath must be the hash of the access token', () => {
  it.each<[string, (token: string) => string]>([
    ['of another token', () => hashOf('another')],
    ['of an empty string', () => hashOf('')],
    ['with the scheme', (token) => hashOf(`DPoP ${token}`)],
    ['without its last character', (token) => hashOf(token).slice(0, -1)],
    ['with padding', (token) => `${hashOf(token)}=`],
    ['in hex', (token) => createHash('sha256').update(token).digest('hex')],
    ['with SHA-512', (token) => createHash('sha512').update(token).digest('base64url')],
    ['of half of SHA-256, as in ID tokens', (token) => hashOf(token).slice(0, 22)],
    ['that is the token', (token) => token],
    ['that is an empty string', () => ''],
  ])('rejects a hash %s', async (_, ath) => {
    await expectProofAlwaysRejected(scene, 'proof_token_mismatch', () =>
      scene.prove({ claims: { ath: ath(scene.token) } }),
    );
  });

  it('rejects the hash of another token that is bound to the same key', async () => {
    const other = await scene.issuer.issue({ cnf: scene.client.cnf });
    await expectProofAlwaysRejected(scene, 'proof_token_mismatch', () => scene.client.prove(other));
  });
});

describe('§4.3 12b: the key of the proof must be the key that the token is bound to', () => {
  it('rejects the key of another client', async () => {
    const app = serveDpop(scene.issuer);
    const other = await DpopClient.make();
    const stolen = (): Promise<string> => other.prove(scene.token);
    await expectTokenRejected(app, present(app, scene.token, await stolen()), 'binding_mismatch');
    await expectAccepted(app, present(app, scene.token, await scene.prove()));
    await expectTokenRejected(app, present(app, scene.token, await stolen()), 'binding_mismatch');
  });

  it('rejects the cached key of another client', async () => {
    const app = serveDpop(scene.issuer);
    const other = await DpopClient.make();
    const own = await scene.issuer.issue({ cnf: other.cnf });
    await expectAccepted(app, present(app, own, await other.prove(own)));
    await expectTokenRejected(app, present(app, scene.token, await other.prove(scene.token)), 'binding_mismatch');
  });

  it.each<[string, (client: DpopClient) => string]>([
    ['in upper case', ({ thumbprint }) => thumbprint.toUpperCase()],
    ['with padding', ({ thumbprint }) => `${thumbprint}=`],
    ['without its last character', ({ thumbprint }) => thumbprint.slice(0, -1)],
    ['in hex', ({ thumbprint }) => Buffer.from(thumbprint, 'base64url').toString('hex')],
  ])('rejects a token whose thumbprint is written %s', async (_, jkt) => {
    const app = serveDpop(scene.issuer);
    const bound = await scene.issuer.issue({ cnf: { jkt: jkt(scene.client) } });
    await expectTokenRejected(app, present(app, bound, await scene.client.prove(bound)), 'binding_mismatch');
    await expectAccepted(app, present(app, scene.token, await scene.prove()));
  });

  it('rejects a proof that contains the right key and is signed with another key', async () => {
    const other = await DpopClient.make();
    const changes: ProofChanges = { header: { jwk: scene.client.jwk }, signer: other.key };
    await expectProofAlwaysRejected(scene, 'proof_signature_mismatch', () => other.prove(scene.token, changes));
  });
});
