import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import express from 'express';
import { describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import {
  type Auth,
  bearer,
  ConfigurationError,
  getAuth,
  InvalidTokenError,
  jwtBearer,
  type TokenVerifier,
} from '../../lib/index.js';
import {
  challengesOf,
  expectInvalidToken,
  expectRefused,
  get,
  handled,
  serve,
  serveFor,
  startIssuer,
} from '../support/helpers.js';
import { ACCESS_TOKEN } from '../support/access-token.js';

const alice: TokenVerifier = { verify: () => Promise.resolve(ACCESS_TOKEN) };

describe('a bearer middleware', () => {
  it('tells the handler which client calls', async () => {
    const issuer = await startIssuer();
    const response = await get(serveFor(issuer), await issuer.issue({ scope: 'a b' }));
    expect(response.status).toBe(200);
    expect(response.body).toEqual({ clientId: 'client-1', subject: 'client-1', scopes: ['a', 'b'], isMachine: true });
  });

  it('sends a challenge without an error code to a request without credentials', async () => {
    const issuer = await startIssuer();
    const response = await expectRefused(serveFor(issuer, { realm: 'orders' }), undefined, 401, undefined);
    expect(response.headers['www-authenticate']).toBe('Bearer realm="orders"');
    expect(response.headers['cache-control']).toBe('no-store');
    expect(response.headers['content-type']).toBe('application/json');
    expect(response.body).toEqual({ error_description: 'No access token was presented.' });
  });

  it('includes the quoted realm in every challenge', async () => {
    const issuer = await startIssuer();
    const realm = 'the "best" API, \\o/ error="none"';
    const response = await expectRefused(serveFor(issuer, { realm }), 'x', 401, 'invalid_token');
    const { message } = new InvalidTokenError('not_a_jwt');
    expect(challengesOf(response)).toEqual([
      { scheme: 'Bearer', parameters: { realm, error: 'invalid_token', error_description: message } },
    ]);
  });

  it.each(['get', 'head', 'options', 'post', 'put', 'patch', 'delete', 'trace'] as const)(
    'rejects and accepts requests with the method %s',
    async (method) => {
      const issuer = await startIssuer();
      const app = serveFor(issuer);
      const send = (): supertest.Test => {
        const agent = supertest(app);
        return agent[method]('/');
      };
      const rejected = await send();
      expect([rejected.status, rejected.headers['www-authenticate'], handled(app)]).toEqual([401, 'Bearer', 0]);
      if (method === 'head') expect(rejected.body).toEqual({});
      const accepted = await send().set('Authorization', `Bearer ${await issuer.issue()}`);
      expect([accepted.status, handled(app)]).toEqual([200, 1]);
    },
  );

  it('handles concurrent requests with equal and with different tokens', async () => {
    const issuer = await startIssuer();
    const app = serveFor(issuer);
    const tokens = await Promise.all(['a', 'b', 'c', 'a'].map((scope) => issuer.issue({ scope })));
    const all = await Promise.all(
      [...tokens, ...tokens, 'bad', `${tokens[0] ?? ''}AA`].map((token) => get(app, token)),
    );
    expect(all.map(({ status }) => status)).toEqual([...Array<number>(8).fill(200), 401, 401]);
    expect(all.slice(0, 3).map(({ body }) => (body as Auth).scopes)).toEqual([['a'], ['b'], ['c']]);
    // The invalid signature may come from a new key, so it causes one more fetch.
    expect(issuer.requests.jwks).toBeLessThanOrEqual(2);
    expect(issuer.requests.metadata).toBeLessThanOrEqual(2);
  });
});

describe('requests that share an array of raw headers', () => {
  const verifier: TokenVerifier = {
    verify: (token) => Promise.resolve({ ...ACCESS_TOKEN, clientId: token }),
  };
  const middleware = bearer(verifier);
  const authenticate = async (req: IncomingMessage): Promise<void> => {
    await new Promise((resolve) => {
      middleware(req, new ServerResponse(req), resolve);
    });
  };
  const make = (token: string, rawHeaders: string[]): IncomingMessage => {
    const req = new IncomingMessage(new Socket());
    return Object.assign(req, { headers: { authorization: `Bearer ${token}` }, rawHeaders });
  };

  it('each have their own authentication', async () => {
    const rawHeaders: string[] = [];
    const [first, second, third] = [make('a', rawHeaders), make('b', rawHeaders), make('c', rawHeaders)];
    await authenticate(first);
    await authenticate(second);
    expect([getAuth(first).clientId, getAuth(second).clientId]).toEqual(['a', 'b']);
    expect(() => getAuth(third)).toThrow(ConfigurationError);
  });

  it('inherit the authentication of the request that they were created from, until they have their own', async () => {
    const original = make('a', []);
    await authenticate(original);
    const derived = Object.create(original, { headers: { value: { authorization: 'Bearer b' } } }) as IncomingMessage;
    expect(getAuth(derived).clientId).toBe('a');
    await authenticate(derived);
    expect([getAuth(original).clientId, getAuth(derived).clientId]).toEqual(['a', 'b']);
  });

  it('are authenticated if the server creates the array for each read', async () => {
    const req = make('a', []);
    Object.defineProperty(req, 'rawHeaders', { get: () => [] });
    await authenticate(req);
    expect(getAuth(req).clientId).toBe('a');
  });
});

describe('the auth object of a request', () => {
  it('is the same object in getAuth and req.auth, and deeply frozen', async () => {
    const issuer = await startIssuer();
    const seen: Auth[] = [];
    const app = express();
    app.use(jwtBearer({ issuer: issuer.url, audience: issuer.audience }), (req, res) => {
      seen.push(getAuth(req));
      res.json((req as unknown as { auth: Auth }).auth === getAuth(req));
    });
    const token = await issuer.issue({ scope: 'a', nested: { list: [{ deep: 1 }] } });
    expect([(await get(app, token)).body, (await get(app, token)).body]).toEqual([true, true]);

    const [first, second] = seen;
    expect(first).toMatchObject({ token, scheme: 'Bearer', format: 'jwt', issuer: issuer.url, scopes: ['a'] });
    expect(first).toEqual(second);
    expect(first?.header).toMatchObject({ alg: 'ES256', typ: 'at+jwt' });
    expect(first?.audience).toEqual([issuer.audience]);
    const frozen: unknown[] = [first];
    for (const value of frozen) {
      expect(Object.isFrozen(value)).toBe(true);
      for (const inner of Object.values(value as object) as unknown[]) {
        if (typeof inner === 'object' && inner !== null) frozen.push(inner);
      }
    }
    expect(frozen.length).toBeGreaterThan(7);
  });

  it('is set on the configured property only', async () => {
    const issuer = await startIssuer();
    const app = express();
    app.use(jwtBearer({ issuer: issuer.url, audience: issuer.audience, property: 'caller' }), (req, res) => {
      const { caller, auth } = req as unknown as { caller: Auth; auth?: Auth };
      res.json([caller === getAuth(req), auth === undefined]);
    });
    expect((await get(app, await issuer.issue())).body).toEqual([true, true]);
  });

  it.each<[string, Parameters<typeof serve>]>([
    ['without a middleware', []],
    [
      'with a middleware that only writes req.auth',
      [
        (req, _res, next) => {
          Object.assign(req, { auth: { ...ACCESS_TOKEN, token: 'x', scheme: 'Bearer' } });
          next();
        },
      ],
    ],
    ['with optional authentication and no credentials', [bearer(alice, { optional: true })]],
  ])('causes a ConfigurationError if the handler calls getAuth %s', async (_what, middlewares) => {
    const errors: unknown[] = [];
    const app = express();
    app.use(...middlewares, (req, _res, next) => {
      try {
        getAuth(req);
      } catch (error) {
        errors.push(error);
      }
      next();
    });
    await get(app);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toBeInstanceOf(ConfigurationError);
    expect(errors[0]).toMatchObject({ reason: 'not_authenticated', option: 'getAuth', status: undefined });
  });
});

describe('a token that is bound to a key', () => {
  const thumbprint = 'bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2';

  it.each<[string, unknown]>([
    ['by DPoP', { jkt: thumbprint }],
    ['by mutual TLS', { 'x5t#S256': thumbprint }],
    ['by both', { jkt: thumbprint, 'x5t#S256': thumbprint }],
    ['among other members', { kid: 'x', jkt: thumbprint }],
  ])('is rejected as a bearer token: %s', async (_what, cnf) => {
    const issuer = await startIssuer();
    const app = serveFor(issuer);
    await expectInvalidToken(app, await issuer.issue({ cnf }), 'binding_unproven');
    expect((await get(app, await issuer.issue())).status).toBe(200);
  });

  it.each<[string, unknown]>([
    ['a string', thumbprint],
    ['true', true],
    ['an array', [{ jkt: thumbprint }]],
    ['a binding to an empty thumbprint', { jkt: '' }],
    ['a binding that is null', { jkt: null }],
    ['a certificate binding that is an array', { 'x5t#S256': [thumbprint] }],
    ['an empty array', []],
  ])('is rejected with a cnf that is %s', async (_what, cnf) => {
    const issuer = await startIssuer();
    await expectInvalidToken(serveFor(issuer), await issuer.issue({ cnf }), 'claim_malformed');
  });

  it.each<[string, unknown]>([
    ['nothing', {}],
    ['unknown members', { kid: 'x', 'x5t#S512': thumbprint }],
  ])('is accepted with %s in its cnf, which is not a binding', async (_what, cnf) => {
    const issuer = await startIssuer();
    expect((await get(serveFor(issuer), await issuer.issue({ cnf }))).status).toBe(200);
  });

  it('is rejected in every request, cached or not', async () => {
    const issuer = await startIssuer();
    const app = serveFor(issuer);
    const token = await issuer.issue({ cnf: { jkt: thumbprint } });
    await expectInvalidToken(app, token, 'binding_unproven');
    await expectInvalidToken(app, token, 'binding_unproven');
  });

  it('is rejected even if a custom verifier accepts it', async () => {
    const cached: TokenVerifier = {
      ...alice,
      verify: () => ({ ...ACCESS_TOKEN, claims: { cnf: { jkt: thumbprint } } }),
    };
    await expectInvalidToken(serve(bearer(cached)), 'x', 'binding_unproven');
    expect((await get(serve(bearer(alice)), 'x')).status).toBe(200);
  });
});
