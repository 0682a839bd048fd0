import { describe, expect, it } from '@jest/globals';
import express from 'express';
import supertest from 'supertest';
import { getAuth, introspectionBearer } from '../../lib/index.js';
import {
  ALGS,
  BASE_URL,
  challengeOn,
  dpopBearer,
  DpopClient,
  expectAccepted,
  expectTokenRejected,
  expectProofRejected,
  present,
  serveDpop,
  createScene,
} from '../support/dpop.js';
import { expectInvalidToken, get, getRaw, handled, listen, serve, serveFor } from '../support/helpers.js';
import { optionsFor } from '../support/introspection.js';

const scene = createScene();

describe('a DPoP-bound token', () => {
  it.each(['allowed', 'required'] as const)('is accepted with its proof if dpop is %s', async (dpop) => {
    const app = serve(dpopBearer(scene.issuer, dpop));
    const response = await expectAccepted(app, present(app, scene.token, await scene.prove()));
    expect(response.body).toMatchObject({ clientId: 'client-1' });
  });

  it.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'])(
    'is accepted with a proof that is signed with %s',
    async (algorithm) => {
      const other = await DpopClient.make(algorithm);
      const bound = await scene.issuer.issue({ cnf: other.cnf });
      const app = serveDpop(scene.issuer);
      await expectAccepted(app, present(app, bound, await other.prove(bound)));
      await expectAccepted(app, present(app, bound, await other.prove(bound)));
    },
  );

  it('tells the handler the scheme of the request', async () => {
    const app = express();
    app.use(dpopBearer(scene.issuer, 'allowed'), (req, res) => {
      const auth = getAuth(req);
      res.json([auth.scheme, auth.token === scene.token]);
    });
    expect((await present(app, scene.token, await scene.prove())).body).toEqual(['DPoP', true]);
    const unbound = await scene.issuer.issue();
    expect((await present(app, unbound, undefined, 'Bearer')).body).toEqual(['Bearer', false]);
  });

  it('requires a new proof for each request, also if the token is cached', async () => {
    const app = serveDpop(scene.issuer);
    const before = scene.issuer.requests.jwks;
    for (let i = 0; i < 3; i++) await expectAccepted(app, present(app, scene.token, await scene.prove()));
    expect(scene.issuer.requests.jwks).toBe(before + 1);
    expect((await present(app, scene.token)).status).toBe(401);
  });

  it.each(['dpop', 'DPOP', 'dPoP'])('can be sent with the scheme written %s', async (scheme) => {
    const app = serveDpop(scene.issuer);
    await expectAccepted(app, present(app, scene.token, await scene.prove(), scheme));
  });

  it.each(['head', 'options', 'post', 'put', 'patch', 'delete'] as const)(
    'is accepted with the method %s',
    async (method) => {
      const app = serveDpop(scene.issuer);
      const proof = await scene.prove({ claims: { htm: method.toUpperCase() } });
      const agent = supertest(app);
      await expectAccepted(app, agent[method]('/').set('Authorization', `DPoP ${scene.token}`).set('DPoP', proof));
    },
  );

  it('can be opaque, with cnf in the introspection response', async () => {
    const app = serve(introspectionBearer({ ...optionsFor(scene.issuer), dpop: 'required', baseUrl: BASE_URL }));
    const opaque = scene.issuer.issueOpaque({ cnf: scene.client.cnf });
    await expectAccepted(app, present(app, opaque, await scene.client.prove(opaque)));
    await expectAccepted(app, present(app, opaque, await scene.client.prove(opaque)));
    expect(scene.issuer.introspection.timesAsked(opaque)).toBe(1);
    const other = await DpopClient.make();
    await expectTokenRejected(app, present(app, opaque, await other.prove(opaque)), 'binding_mismatch');
  });

  it('can have proofs with unknown members', async () => {
    const app = serveDpop(scene.issuer);
    const proof = await scene.prove({ header: { kid: 'x', x: [1] }, claims: { sub: 'x', nonce: 'x', y: {} } });
    await expectAccepted(app, present(app, scene.token, proof));
  });

  it('is accepted by an API without baseUrl', async () => {
    const app = serveFor(scene.issuer, { dpop: 'required' });
    const port = await listen(app);
    const proof = await scene.prove({ claims: { htu: `http://127.0.0.1:${port}/orders/1` } });
    const response = await getRaw(port, ['Authorization', `DPoP ${scene.token}`, 'DPoP', proof], {
      path: '/orders/1?a=b',
    });
    expect([response.status, handled(app)]).toEqual([200, 1]);
  });
});

describe('a token that is sent without its proof', () => {
  it.each(['allowed', 'required'] as const)('is rejected as a bearer token if dpop is %s', async (dpop) => {
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
    await expectAccepted(app, present(app, scene.token, await scene.prove()));
  });

  it.each(['allowed', 'required'] as const)(
    'is rejected with the scheme DPoP if it is not bound (%s)',
    async (dpop) => {
      const app = serve(dpopBearer(scene.issuer, dpop));
      const unbound = await scene.issuer.issue();
      await expectTokenRejected(app, present(app, unbound, await scene.client.prove(unbound)), 'binding_missing');
      await expectTokenRejected(app, present(app, unbound), 'binding_missing');
    },
  );

  it('is rejected as an unbound bearer token if proofs are required', async () => {
    const unbound = await scene.issuer.issue();
    const strict = serveDpop(scene.issuer);
    await expectTokenRejected(strict, present(strict, unbound, undefined, 'Bearer'), 'binding_missing');
    const app = serve(dpopBearer(scene.issuer, 'allowed'));
    await expectAccepted(app, present(app, unbound, undefined, 'Bearer'));
  });

  it('is rejected if dpop is off', async () => {
    const app = serveFor(scene.issuer, { baseUrl: BASE_URL });
    await expectInvalidToken(app, scene.token, 'binding_unproven');
    // An unsupported scheme is treated like missing credentials.
    const response = await present(app, scene.token, await scene.prove());
    expect([response.status, response.headers['www-authenticate']]).toEqual([401, 'Bearer']);
    expect(handled(app)).toBe(0);
    expect((await get(app, await scene.issuer.issue())).status).toBe(200);
  });

  it('is rejected if it comes from tokenFrom', async () => {
    const tokenFrom = (): string => scene.token;
    const app = serve(dpopBearer(scene.issuer, 'allowed', { tokenFrom }));
    const proof = await scene.prove();
    const response = await supertest(app).get('/').set('DPoP', proof);
    expect([response.status, handled(app)]).toEqual([401, 0]);
    expect(response.body).toMatchObject({ error: 'invalid_token' });
  });

  it('is rejected with optional: true', async () => {
    const app = serve(dpopBearer(scene.issuer, 'allowed', { optional: true }));
    await expectTokenRejected(app, present(app, 'garbage', await scene.client.prove('garbage')), 'not_a_jwt');
    await expectProofRejected(app, present(app, scene.token), 'proof_missing');
  });

  it('is rejected with optional: true and without dpop', async () => {
    const app = serveFor(scene.issuer, { baseUrl: BASE_URL, optional: true });
    for (const token of [scene.token, 'garbage']) {
      const response = await present(app, token, await scene.client.prove(token));
      expect([response.status, response.headers['www-authenticate'], handled(app)]).toEqual([401, 'Bearer', 0]);
    }
  });

  it('is rejected before its proof is read if it is invalid', async () => {
    const app = serveDpop(scene.issuer);
    const expired = await scene.issuer.issue({ cnf: scene.client.cnf, exp: scene.issuer.now - 60 });
    await expectTokenRejected(app, present(app, expired, 'garbage'), 'expired');
  });

  it('is missing if the request contains only a proof', async () => {
    const app = serveDpop(scene.issuer);
    const response = await supertest(app)
      .get('/')
      .set('DPoP', await scene.prove());
    expect([response.status, handled(app), challengeOn('DPoP', response)]).toEqual([401, 0, { algs: ALGS }]);
  });
});
