import express, { type ErrorRequestHandler } from 'express';
import { describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import {
  ConfigurationError,
  getAuth,
  getOptionalAuth,
  InsufficientScopeError,
  jwtBearer,
  type Middleware,
  requireClaim,
  requireClient,
  requireMachine,
  requireScopes,
  requireThat,
} from '../../lib/index.js';
import { GATES } from '../support/gate-cases.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import {
  challengesOf,
  expectForbidden,
  expectHandedOver,
  expectRefused,
  get,
  handled,
  serve,
  serveWithErrorHandler,
  startIssuer,
} from '../support/helpers.js';

function guard(issuer: TestIssuer, ...gates: Middleware[]): ReturnType<typeof serve> {
  return serve(jwtBearer({ issuer: issuer.url, audience: issuer.audience }), ...gates);
}

describe('a gate', () => {
  it.each(GATES)(
    'accepts a token with $what and responds 403 to others',
    async ({ gate, good, bad, reason, scope }) => {
      const issuer = await startIssuer();
      const app = guard(issuer, gate);
      expect((await get(app, await issuer.issue(good))).status).toBe(200);
      await expectForbidden(app, await issuer.issue(bad), reason, scope);
    },
  );

  it.each(GATES)('is not called without a token or with an invalid one: $what', async ({ gate, good }) => {
    const issuer = await startIssuer();
    const app = guard(issuer, gate);
    await expectRefused(app, undefined, 401, undefined);
    await expectRefused(app, await issuer.issue({ ...good, exp: 1 }), 401, 'invalid_token');
  });

  it.each(GATES)(
    'without authentication causes a ConfigurationError, and no handler runs: $what',
    async ({ gate, good }) => {
      const issuer = await startIssuer();
      const error = await expectHandedOver(await issuer.issue(good), gate);
      expect(error).toBeInstanceOf(ConfigurationError);
      expect(error).toMatchObject({ reason: 'not_authenticated', status: undefined });
    },
  );

  it.each(GATES)(
    'behind optional authentication responds 401 to a request without a token, with its scopes: $what',
    async ({ gate, good, scope }) => {
      const issuer = await startIssuer();
      const options = { issuer: issuer.url, audience: issuer.audience, optional: true, realm: 'r' };
      const app = serve(jwtBearer(options), gate);
      const response = await expectRefused(app, undefined, 401, undefined);
      const parameters = scope === undefined ? { realm: 'r' } : { realm: 'r', scope };
      expect(challengesOf(response)).toEqual([{ scheme: 'Bearer', parameters }]);
      expect((await get(app, await issuer.issue(good))).status).toBe(200);
    },
  );

  it('is combined with other gates, which must all accept', async () => {
    const issuer = await startIssuer();
    const app = guard(issuer, requireScopes('a'), requireClient('c'), requireMachine());
    const good = { scope: 'a', client_id: 'c', sub: 'c' };
    expect((await get(app, await issuer.issue(good))).status).toBe(200);
    await expectForbidden(app, await issuer.issue({ ...good, scope: 'b' }), 'scope_missing', 'a');
    await expectForbidden(app, await issuer.issue({ ...good, client_id: 'd', sub: 'd' }), 'client_refused');
    await expectForbidden(app, await issuer.issue({ ...good, sub: 'alice' }), 'machine_required');
  });

  it.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])(
    'is not confused by %s, a member of every object',
    async (name) => {
      const issuer = await startIssuer();
      const app = guard(
        issuer,
        requireClaim(name, () => true),
      );
      await expectForbidden(app, await issuer.issue(), 'claim_mismatch');
      const claims = { iss: issuer.url, aud: issuer.audience, exp: issuer.now + 300 };
      const own = JSON.stringify(claims).replace('{', `{"${name}":"mine",`);
      const payload = new TextEncoder().encode(own);
      expect((await get(app, await issuer.issue({}, { payload }))).status).toBe(200);
    },
  );

  it('does not find a missing claim through __proto__', async () => {
    const issuer = await startIssuer();
    const claims = { iss: issuer.url, aud: issuer.audience, exp: issuer.now + 300, sub: 'alice' };
    const payload = new TextEncoder().encode(JSON.stringify(claims).replace('{', '{"__proto__":{"role":"admin"},'));
    await expectForbidden(
      guard(issuer, requireClaim('role', 'admin')),
      await issuer.issue({}, { payload }),
      'claim_mismatch',
    );
  });
});

describe('a predicate', () => {
  const asPredicate = (decide: () => unknown): (() => boolean) => decide as () => boolean;

  it('receives the auth object and the request, and may be async', async () => {
    const issuer = await startIssuer();
    const gate = requireThat((auth, req) => Promise.resolve(req.query.tenant === auth.claims.tenant));
    const app = express();
    app.use(jwtBearer({ issuer: issuer.url, audience: issuer.audience }), gate, (req, res) => {
      res.json(getAuth(req).claims.tenant);
    });
    const issued = await issuer.issue({ tenant: 't' });

    const send = async (path: string): Promise<number> =>
      (await supertest(app).get(path).set('Authorization', `Bearer ${issued}`)).status;
    expect([await send('/?tenant=t'), await send('/?tenant=u'), await send('/')]).toEqual([200, 403, 403]);
  });

  it.each<[string, () => unknown]>([
    ['undefined', () => undefined],
    ['1', () => 1],
    ["'true'", () => 'true'],
    ['an object', () => ({})],
    ['an array of true', () => [true]],
    ['a Boolean object', () => Object(true) as unknown],
    ['a function', () => () => true],
    ['a promise of false', () => Promise.resolve(false)],
    ['a promise of 1', () => Promise.resolve(1)],
    ['a promise of undefined', () => Promise.resolve()],
    ['a promise of a function', () => Promise.resolve(() => true)],
  ])('that returns %s rejects', async (_what, decide) => {
    const issuer = await startIssuer();
    const token = await issuer.issue({ x: 1 });
    await expectForbidden(guard(issuer, requireThat(asPredicate(decide))), token, 'condition_failed');
    await expectForbidden(guard(issuer, requireClaim('x', asPredicate(decide))), token, 'claim_mismatch');
  });

  it.each<[string, () => unknown]>([
    ['true', () => true],
    ['a promise of true', () => Promise.resolve(true)],
    [
      'an object with a method then that resolves to true',
      () => ({
        then: (done: (value: boolean) => void) => {
          done(true);
        },
      }),
    ],
  ])('that returns %s accepts', async (_what, decide) => {
    const issuer = await startIssuer();
    const app = guard(issuer, requireThat(asPredicate(decide)), requireClaim('x', asPredicate(decide)));
    expect((await get(app, await issuer.issue({ x: 1 }))).status).toBe(200);
  });

  it.each<[string, unknown]>([
    ['an error', new Error('database is down')],
    ['undefined', undefined],
    ["'route'", 'route'],
    ['true', true],
  ])('that throws %s, or rejects with it, passes it to the error handler', async (_what, thrown) => {
    const issuer = await startIssuer();
    const authenticate = jwtBearer({ issuer: issuer.url, audience: issuer.audience });
    const throwing = (): never => {
      throw thrown;
    };
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- A predicate may reject with any value.
    const rejecting = (): Promise<boolean> => Promise.reject(thrown);
    for (const predicate of [throwing, rejecting]) {
      for (const gate of [requireThat(predicate), requireClaim('sub', predicate)]) {
        const error = await expectHandedOver(await issuer.issue(), authenticate, gate);
        if (thrown instanceof Error) expect(error).toBe(thrown);
        else expect(error).toMatchObject({ name: 'ConfigurationError', cause: thrown });
      }
    }
  });

  it('may require more scopes', async () => {
    const issuer = await startIssuer();
    const app = guard(
      issuer,
      requireThat(() => false, { scopes: ['orders:write', 'admin'] }),
    );
    await expectForbidden(app, await issuer.issue(), 'condition_failed', 'orders:write admin');
  });
});

describe('the response of a gate', () => {
  const options = (issuer: TestIssuer): { issuer: string; audience: string } => ({
    issuer: issuer.url,
    audience: issuer.audience,
  });
  const description = new InsufficientScopeError('scope_missing').message;
  const challenge = { realm: 'r', error: 'insufficient_scope', error_description: description, scope: 'a' };

  it('is a problem document if the middleware before it responds with one', async () => {
    const issuer = await startIssuer();
    const app = serve(jwtBearer({ ...options(issuer), realm: 'r', errors: 'problem' }), requireScopes('a'));
    const response = await get(app, await issuer.issue());
    expect([response.status, response.headers['content-type']]).toEqual([403, 'application/problem+json']);
    expect(response.body).toMatchObject({ status: 403, title: 'Forbidden', error: 'insufficient_scope' });
    expect(challengesOf(response)).toEqual([{ scheme: 'Bearer', parameters: challenge }]);
    expect(handled(app)).toBe(0);
  });

  it('is left to the error handler if the middleware before it does the same', async () => {
    const issuer = await startIssuer();
    const { app, errors } = serveWithErrorHandler(
      jwtBearer({ ...options(issuer), realm: 'r', errors: 'next' }),
      requireScopes('a'),
    );
    const response = await get(app, await issuer.issue());
    expect([response.status, response.body, handled(app)]).toEqual([403, { caught: true }, 0]);
    expect(challengesOf(response)).toEqual([{ scheme: 'Bearer', parameters: challenge }]);
    expect(errors[0]).toBeInstanceOf(InsufficientScopeError);
    expect(errors[0]).toMatchObject({ reason: 'scope_missing', scopes: ['a'] });
  });

  it('is configured by the last of several authentications', async () => {
    const issuer = await startIssuer();
    const first = jwtBearer({ ...options(issuer), realm: 'outer', errors: 'problem' });
    const second = jwtBearer({ ...options(issuer), realm: 'inner' });
    const response = await get(serve(first, second, requireScopes('a')), await issuer.issue());
    expect(response.headers['content-type']).toBe('application/json');
    expect(challengesOf(response)[0]?.parameters.realm).toBe('inner');
  });

  it('ignores an earlier authentication that an optional middleware does not confirm', async () => {
    const issuer = await startIssuer();
    const token = await issuer.issue({ scope: 'a' });
    const outer = jwtBearer({ ...options(issuer), tokenFrom: () => token, property: 'outer' });
    const app = serve(outer, jwtBearer({ ...options(issuer), optional: true }), requireScopes('a'));
    expect((await get(app)).status).toBe(401);
    const seen: unknown[] = [];
    const look = express();
    look.use(outer, jwtBearer({ ...options(issuer), optional: true }), (req, res) => {
      seen.push(getOptionalAuth(req), Reflect.get(req, 'outer'), Reflect.get(req, 'auth'));
      res.end();
    });
    await get(look);
    expect(seen).toEqual([undefined, undefined, undefined]);
  });

  it('ignores an earlier authentication that a later middleware rejects', async () => {
    const [issuer, other] = [await startIssuer(), await startIssuer()];
    const app = express();
    const seen: unknown[] = [];
    app.use(jwtBearer(options(issuer)), jwtBearer({ ...options(other), errors: 'next' }));
    // An error handler that continues is a mistake, but it must not allow the request.
    app.use(((_error, req, _res, next) => {
      seen.push(getOptionalAuth(req), Reflect.get(req, 'auth'));
      next();
    }) satisfies ErrorRequestHandler);
    app.get('/', requireScopes('a'), (_req, res) => {
      res.end('reached');
    });
    expect((await get(app, await issuer.issue({ scope: 'a' }))).status).toBe(401);
    expect(seen).toEqual([undefined, undefined]);
  });

  it('ignores a req.auth of other software behind an optional middleware', async () => {
    const issuer = await startIssuer();
    const app = express();
    app.use((req, _res, next) => {
      Reflect.set(req, 'auth', { clientId: 'forged', scopes: ['a'] });
      next();
    });
    app.use(jwtBearer({ ...options(issuer), optional: true }), (req, res) => {
      res.json({ auth: Reflect.get(req, 'auth') ?? null });
    });
    expect((await get(app)).body).toEqual({ auth: null });
  });

  it('is about the client of its own issuer if there are two issuers', async () => {
    const [one, two] = [await startIssuer(), await startIssuer()];
    const app = express();
    const respondWithIssuer: Middleware = (req, res) => {
      res.end(getAuth(req).issuer);
    };
    app.use('/one', jwtBearer(options(one)), requireScopes('a'), respondWithIssuer);
    app.use('/two', jwtBearer(options(two)), requireScopes('b'), respondWithIssuer);

    const send = async (path: string, token: string): Promise<[number, string]> => {
      const { status, text } = await supertest(app).get(path).set('Authorization', `Bearer ${token}`);
      return [status, status === 200 ? text : ''];
    };
    const [ofOne, ofTwo] = [await one.issue({ scope: 'a' }), await two.issue({ scope: 'b' })];
    expect(await send('/one', ofOne)).toEqual([200, one.url]);
    expect(await send('/two', ofTwo)).toEqual([200, two.url]);
    expect(await send('/one', ofTwo)).toEqual([401, '']);
    expect(await send('/two', ofOne)).toEqual([401, '']);
    expect(await send('/one', await one.issue({ scope: 'b' }))).toEqual([403, '']);
  });
});
