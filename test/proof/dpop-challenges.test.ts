import { describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import {
  InsufficientScopeError,
  InvalidDpopProofError,
  InvalidRequestError,
  InvalidTokenError,
  type ProofMode,
  requireScopes,
} from '../../lib/index.js';
import { ALGS, dpopBearer, expectAccepted, present, createScene } from '../support/dpop.js';
import { challengesOf, getRaw, handled, listen, serve, serveFor, serveWithErrorHandler } from '../support/helpers.js';

const scene = createScene();

describe('the challenge to a request without credentials', () => {
  it.each<[ProofMode, string]>([
    ['off', 'Bearer'],
    ['allowed', `Bearer realm="api", DPoP algs="${ALGS}"`],
    ['required', `DPoP algs="${ALGS}"`],
  ])('has no error if dpop is %s', async (mode, expected) => {
    const app = serve(dpopBearer(scene.issuer, mode));
    const response = await supertest(app).get('/');
    expect([response.status, response.headers['www-authenticate'], handled(app)]).toEqual([401, expected, 0]);
    expect(response.body).toEqual({ error_description: 'No access token was presented.' });
  });

  it('is only Bearer without the option dpop', async () => {
    const response = await supertest(serveFor(scene.issuer)).get('/');
    expect(response.headers['www-authenticate']).toBe('Bearer');
  });

  it('contains the configured algorithms', async () => {
    const app = serve(dpopBearer(scene.issuer, { mode: 'allowed', algorithms: ['PS256', 'ES256'] }));
    const response = await supertest(app).get('/');
    expect(response.headers['www-authenticate']).toBe('Bearer realm="api", DPoP algs="PS256 ES256"');
  });

  it('contains the realm for each scheme', async () => {
    const app = serve(dpopBearer(scene.issuer, { mode: 'allowed', algorithms: ['ES256'] }, { realm: 'orders' }));
    const response = await supertest(app).get('/');
    expect(response.headers['www-authenticate']).toBe('Bearer realm="orders", DPoP realm="orders", algs="ES256"');
  });
});

/** What is sent, the expected error, and the schemes whose challenges contain it. */
const ERRORS: readonly [string, () => Promise<string[]>, Error & { code: string | undefined }, ProofMode, string[]][] =
  [
    ['an invalid bearer token', auth('Bearer', 'x'), new InvalidTokenError('not_a_jwt'), 'allowed', ['Bearer']],
    ['an invalid DPoP token', auth('DPoP', 'x'), new InvalidTokenError('not_a_jwt'), 'allowed', ['DPoP']],
    ['an invalid bearer token', auth('Bearer', 'x'), new InvalidTokenError('not_a_jwt'), 'required', ['DPoP']],
    ['no proof', auth('DPoP'), new InvalidDpopProofError('proof_missing'), 'allowed', ['DPoP']],
    ['a bound token as Bearer', auth('Bearer'), new InvalidTokenError('binding_unproven'), 'allowed', ['Bearer']],
    [
      'two credentials',
      async () => [...(await auth('DPoP')()), ...(await auth('Bearer')())],
      new InvalidRequestError('several_credentials'),
      'allowed',
      ['Bearer', 'DPoP'],
    ],
    [
      'two credentials in one field',
      auth('Bearer', 'x, DPoP x'),
      new InvalidRequestError('several_credentials'),
      'allowed',
      ['Bearer', 'DPoP'],
    ],
    [
      'no token after the scheme',
      auth('DPoP', ''),
      new InvalidRequestError('malformed_credentials'),
      'required',
      ['DPoP'],
    ],
  ];

function auth(scheme: string, token?: string): () => Promise<string[]> {
  return () => Promise.resolve(['Authorization', `${scheme} ${token ?? scene.token}`]);
}

describe('the challenge to a request with invalid credentials', () => {
  it.each(ERRORS)('(%s) has the error for the right scheme', async (_, fields, { code, message }, mode, schemes) => {
    const app = serve(dpopBearer(scene.issuer, mode, { realm: 'orders' }));
    const response = await getRaw(await listen(app), await fields());
    expect([JSON.parse(response.body), handled(app)]).toEqual([{ error: code, error_description: message }, 0]);
    const found = challengesOf(response);
    expect(found.map(({ scheme }) => scheme)).toEqual(mode === 'required' ? ['DPoP'] : ['Bearer', 'DPoP']);
    for (const { scheme, parameters } of found) {
      const always = scheme === 'DPoP' ? { realm: 'orders', algs: ALGS } : { realm: 'orders' };
      const error = { error: code, error_description: message };
      expect(parameters).toEqual(schemes.includes(scheme) ? { ...error, ...always } : always);
    }
  });

  it('is the same for each request', async () => {
    const app = serve(dpopBearer(scene.issuer, 'allowed'));
    const send = async (scheme: string): Promise<unknown> =>
      (await present(app, 'x', undefined, scheme)).headers['www-authenticate'];
    const [bearer, dpop] = [await send('Bearer'), await send('DPoP')];
    expect([await send('Bearer'), await send('DPoP')]).toEqual([bearer, dpop]);
    expect(bearer).not.toEqual(dpop);
  });
});

describe('a gate behind dpop', () => {
  it('sends its challenge for the scheme of the request', async () => {
    const app = serve(dpopBearer(scene.issuer, 'allowed'), requireScopes('orders:read'));
    const { message } = new InsufficientScopeError('scope_missing');
    const details = { error: 'insufficient_scope', error_description: message, scope: 'orders:read' };
    const proven = await present(app, scene.token, await scene.prove());
    expect([proven.status, challengesOf(proven)]).toEqual([
      403,
      [
        { scheme: 'Bearer', parameters: { realm: 'api' } },
        { scheme: 'DPoP', parameters: { ...details, algs: ALGS } },
      ],
    ]);
    const accepted = await present(app, await scene.issuer.issue(), undefined, 'Bearer');
    expect([accepted.status, challengesOf(accepted)]).toEqual([
      403,
      [
        { scheme: 'Bearer', parameters: details },
        { scheme: 'DPoP', parameters: { algs: ALGS } },
      ],
    ]);
    expect(handled(app)).toBe(0);
    const scoped = await scene.issuer.issue({ cnf: scene.client.cnf, scope: 'orders:read' });
    await expectAccepted(app, present(app, scoped, await scene.client.prove(scoped)));
  });
});

describe('the rejection of a proof', () => {
  it('can be a problem document', async () => {
    const app = serve(dpopBearer(scene.issuer, 'required', { errors: 'problem' }));
    const response = await present(app, scene.token);
    expect(response.headers['content-type']).toBe('application/problem+json');
    expect(JSON.parse(response.text)).toEqual({
      type: 'about:blank',
      title: 'Unauthorized',
      status: 401,
      detail: 'The request carries no DPoP proof.',
      error: 'invalid_dpop_proof',
    });
    const [found] = challengesOf(response);
    expect(found?.parameters).toMatchObject({ error: 'invalid_dpop_proof', algs: ALGS });
  });

  it('can be passed to the error handler, with the challenge and the nonce', async () => {
    const dpop = { mode: 'required', nonce: true } as const;
    const { app, errors } = serveWithErrorHandler(dpopBearer(scene.issuer, dpop, { errors: 'next' }));
    const response = await present(app, scene.token, await scene.prove());
    const [error] = errors as InvalidDpopProofError[];
    expect([response.status, response.body, errors.length, handled(app)]).toEqual([401, { caught: true }, 1, 0]);
    expect(error).toBeInstanceOf(InvalidDpopProofError);
    expect(error?.reason).toBe('proof_nonce_missing');
    expect(error?.headers).toEqual({
      'Cache-Control': 'no-store',
      'WWW-Authenticate': response.headers['www-authenticate'],
      'DPoP-Nonce': response.headers['dpop-nonce'],
    });
    const nonce: unknown = response.headers['dpop-nonce'];
    const [challenge] = challengesOf(response);
    expect([challenge?.parameters.error, typeof nonce, error?.nonce]).toEqual(['use_dpop_nonce', 'string', nonce]);
    await expectAccepted(app, present(app, scene.token, await scene.prove({ claims: { nonce } })));
  });

  it('has the details in its cause and not in the response', async () => {
    const { app, errors } = serveWithErrorHandler(dpopBearer(scene.issuer, 'required', { errors: 'next' }));
    const htu = 'https://canary.example/';
    const response = await present(app, scene.token, await scene.prove({ claims: { htu } }));
    expect(errors[0]).toMatchObject({ reason: 'proof_uri_mismatch', cause: { checked: 'htu', found: htu } });
    expect(JSON.stringify([response.headers, response.body, String(errors[0])])).not.toContain('canary');
  });

  it('does not contain the token, also not in its cause', async () => {
    const { app, errors } = serveWithErrorHandler(dpopBearer(scene.issuer, 'required', { errors: 'next' }));
    for (const claims of [{ ath: 'x' }, { htm: 'POST' }, { iat: 1 }, {}]) {
      await present(app, scene.token, await scene.prove({ claims }));
    }
    expect(errors).toHaveLength(3);
    for (const error of errors as InvalidDpopProofError[]) {
      expect(JSON.stringify([error.message, error.cause, error.headers])).not.toContain(scene.token);
    }
  });
});
