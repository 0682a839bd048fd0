import { describe, expect, it } from '@jest/globals';
import express from 'express';
import supertest from 'supertest';
import { getAuth, introspectionBearer } from '../lib/index.js';
import {
  ALGS,
  BASE_URL,
  challengeOn,
  dpopBearer,
  DpopClient,
  expectAdmitted,
  expectBindingRefused,
  expectProofRefused,
  present,
  serveDpop,
  setScene,
} from './dpop.js';
import { expectInvalidToken, get, getRaw, handled, listen, serve, serveFor } from './helpers.js';
import { optionsFor } from './introspection.js';

const scene = setScene();

describe('a token that is bound to the key of a DPoP proof', () => {
  it.each(['allowed', 'required'] as const)('is taken with its proof where dpop is %s', async (dpop) => {
    const app = serve(dpopBearer(scene.issuer, dpop));
    const response = await expectAdmitted(app, present(app, scene.token, await scene.prove()));
    expect(response.body).toMatchObject({ clientId: 'client-1' });
  });

  it.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'])(
    'is taken with a proof in %s',
    async (algorithm) => {
      const other = await DpopClient.make(algorithm);
      const bound = await scene.issuer.issue({ cnf: other.cnf });
      const app = serveDpop(scene.issuer);
      await expectAdmitted(app, present(app, bound, await other.prove(bound)));
      await expectAdmitted(app, present(app, bound, await other.prove(bound)));
    },
  );

  it('tells the handler with which scheme it was presented', async () => {
    const app = express();
    app.use(dpopBearer(scene.issuer, 'allowed'), (req, res) => {
      const auth = getAuth(req);
      res.json([auth.scheme, auth.token === scene.token]);
    });
    expect((await present(app, scene.token, await scene.prove())).body).toEqual(['DPoP', true]);
    const unbound = await scene.issuer.issue();
    expect((await present(app, unbound, undefined, 'Bearer')).body).toEqual(['Bearer', false]);
  });

  it('needs another proof with each request, remembered or not', async () => {
    const app = serveDpop(scene.issuer);
    const before = scene.issuer.requests.jwks;
    for (let i = 0; i < 3; i++) await expectAdmitted(app, present(app, scene.token, await scene.prove()));
    expect(scene.issuer.requests.jwks).toBe(before + 1);
    expect((await present(app, scene.token)).status).toBe(401);
  });

  it.each(['dpop', 'DPOP', 'dPoP'])('may be presented with the scheme spelled %s', async (scheme) => {
    const app = serveDpop(scene.issuer);
    await expectAdmitted(app, present(app, scene.token, await scene.prove(), scheme));
  });

  it.each(['head', 'options', 'post', 'put', 'patch', 'delete'] as const)('is taken with %s', async (method) => {
    const app = serveDpop(scene.issuer);
    const proof = await scene.prove({ claims: { htm: method.toUpperCase() } });
    const agent = supertest(app);
    await expectAdmitted(app, agent[method]('/').set('Authorization', `DPoP ${scene.token}`).set('DPoP', proof));
  });

  it('may be of opaque form, with cnf in the introspection response', async () => {
    const app = serve(introspectionBearer({ ...optionsFor(scene.issuer), dpop: 'required', baseUrl: BASE_URL }));
    const opaque = scene.issuer.issueOpaque({ cnf: scene.client.cnf });
    await expectAdmitted(app, present(app, opaque, await scene.client.prove(opaque)));
    await expectAdmitted(app, present(app, opaque, await scene.client.prove(opaque)));
    expect(scene.issuer.introspection.timesAsked(opaque)).toBe(1);
    const other = await DpopClient.make();
    await expectBindingRefused(app, present(app, opaque, await other.prove(opaque)), 'binding_mismatch');
  });

  it('may have members in its proofs that nobody here knows', async () => {
    const app = serveDpop(scene.issuer);
    const proof = await scene.prove({ header: { kid: 'x', x: [1] }, claims: { sub: 'x', nonce: 'x', y: {} } });
    await expectAdmitted(app, present(app, scene.token, proof));
  });

  it('is taken by an API that asks the request for its URI', async () => {
    const app = serveFor(scene.issuer, { dpop: 'required' });
    const port = await listen(app);
    const proof = await scene.prove({ claims: { htu: `http://127.0.0.1:${port}/orders/1` } });
    const answer = await getRaw(port, ['Authorization', `DPoP ${scene.token}`, 'DPoP', proof], {
      path: '/orders/1?a=b',
    });
    expect([answer.status, handled(app)]).toEqual([200, 1]);
  });
});

describe('a token that is presented against its binding', () => {
  it.each(['allowed', 'required'] as const)('as a bearer token is refused where dpop is %s', async (dpop) => {
    const app = serve(dpopBearer(scene.issuer, dpop));
    for (const proof of [undefined, await scene.prove()]) {
      const before = handled(app);
      const response = await present(app, scene.token, proof, 'Bearer');
      expect([response.status, handled(app)]).toEqual([401, before]);
      expect(response.body).toEqual({
        error: 'invalid_token',
        error_description: 'The access token is bound to a key that the request does not prove.',
      });
    }
    await expectAdmitted(app, present(app, scene.token, await scene.prove()));
  });

  it.each(['allowed', 'required'] as const)('with DPoP though it has no key is refused (%s)', async (dpop) => {
    const app = serve(dpopBearer(scene.issuer, dpop));
    const unbound = await scene.issuer.issue();
    await expectBindingRefused(app, present(app, unbound, await scene.client.prove(unbound)), 'binding_missing');
    await expectBindingRefused(app, present(app, unbound), 'binding_missing');
  });

  it('as a bearer token that has no key is refused where proofs are required', async () => {
    const unbound = await scene.issuer.issue();
    const strict = serveDpop(scene.issuer);
    await expectBindingRefused(strict, present(strict, unbound, undefined, 'Bearer'), 'binding_missing');
    const app = serve(dpopBearer(scene.issuer, 'allowed'));
    await expectAdmitted(app, present(app, unbound, undefined, 'Bearer'));
  });

  it('finds no way in where dpop is off', async () => {
    const app = serveFor(scene.issuer, { baseUrl: BASE_URL });
    await expectInvalidToken(app, scene.token, 'binding_unproven');
    // The scheme is not one of this API's: nothing was presented.
    const response = await present(app, scene.token, await scene.prove());
    expect([response.status, response.headers['www-authenticate']]).toEqual([401, 'Bearer']);
    expect(handled(app)).toBe(0);
    expect((await get(app, await scene.issuer.issue())).status).toBe(200);
  });

  it('finds no way in through a place that tokenFrom names', async () => {
    const tokenFrom = (): string => scene.token;
    const app = serve(dpopBearer(scene.issuer, 'allowed', { tokenFrom }));
    const proof = await scene.prove();
    const response = await supertest(app).get('/').set('DPoP', proof);
    expect([response.status, handled(app)]).toEqual([401, 0]);
    expect(response.body).toMatchObject({ error: 'invalid_token' });
  });

  it('is no absent one where authentication is optional', async () => {
    const app = serve(dpopBearer(scene.issuer, 'allowed', { optional: true }));
    await expectBindingRefused(app, present(app, 'garbage', await scene.client.prove('garbage')), 'not_a_jwt');
    await expectProofRefused(app, present(app, scene.token), 'proof_missing');
  });

  it('is no absent one either where nothing of the kind is taken', async () => {
    const app = serveFor(scene.issuer, { baseUrl: BASE_URL, optional: true });
    for (const token of [scene.token, 'garbage']) {
      const response = await present(app, token, await scene.client.prove(token));
      expect([response.status, response.headers['www-authenticate'], handled(app)]).toEqual([401, 'Bearer', 0]);
    }
  });

  it('is refused before its proof is read where it is bad itself', async () => {
    const app = serveDpop(scene.issuer);
    const expired = await scene.issuer.issue({ cnf: scene.client.cnf, exp: scene.issuer.now - 60 });
    await expectBindingRefused(app, present(app, expired, 'garbage'), 'expired');
  });

  it('is not there where a proof comes alone', async () => {
    const app = serveDpop(scene.issuer);
    const response = await supertest(app)
      .get('/')
      .set('DPoP', await scene.prove());
    expect([response.status, handled(app), challengeOn('DPoP', response)]).toEqual([401, 0, { algs: ALGS }]);
  });
});
