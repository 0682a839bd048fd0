import express from 'express';
import type { Express } from 'express';
import { describe, expect, it } from '@jest/globals';
import supertest from 'supertest';
import {
  InsufficientScopeError,
  InvalidRequestError,
  InvalidTokenError,
  jwtBearer,
  jwtVerifier,
  MissingTokenError,
  requireScopes,
  ResourceServerError,
} from '../lib/index.js';
import type { TestIssuer } from '../lib/testing/issuer.js';
import {
  challengesOf,
  get,
  getRaw,
  handled,
  listen,
  serve,
  serveFor,
  serveWithErrorHandler,
  startIssuer,
} from './support/helpers.js';

type Mode = 'respond' | 'problem' | 'next';

/** One kind of rejection: what is sent, and what the response contains. */
interface Rejection {
  readonly what: string;
  readonly send: (issuer: TestIssuer) => Promise<string | undefined>;
  readonly error: ResourceServerError;
  readonly title: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const described = (error: ResourceServerError): Record<string, string> => ({
  error: error.code ?? '',
  error_description: error.message,
});

const invalidRequest = new InvalidRequestError('malformed_credentials');
const invalidToken = new InvalidTokenError('expired');
const insufficientScope = new InsufficientScopeError('scope_missing', ['a']);

const REJECTIONS: readonly Rejection[] = [
  {
    what: 'no token',
    send: () => Promise.resolve(undefined),
    error: new MissingTokenError(),
    title: 'Unauthorized',
    parameters: {},
  },
  {
    what: 'a malformed header',
    send: () => Promise.resolve('a b'),
    error: invalidRequest,
    title: 'Bad Request',
    parameters: described(invalidRequest),
  },
  {
    what: 'an invalid token',
    send: (issuer) => issuer.issue({ exp: 1 }),
    error: invalidToken,
    title: 'Unauthorized',
    parameters: described(invalidToken),
  },
  {
    what: 'missing scopes',
    send: (issuer) => issuer.issue(),
    error: insufficientScope,
    title: 'Forbidden',
    parameters: { ...described(insufficientScope), scope: 'a' },
  },
];

function guard(issuer: TestIssuer, errors: Mode): Parameters<typeof serve> {
  return [jwtBearer({ issuer: issuer.url, audience: issuer.audience, realm: 'r', errors }), requireScopes('a')];
}

async function expectAccepted(app: Express, issuer: TestIssuer): Promise<void> {
  expect((await get(app, await issuer.issue({ scope: 'a' }))).status).toBe(200);
}

describe('a rejection', () => {
  it.each(REJECTIONS)('has a JSON body: $what', async ({ send, error, parameters }) => {
    const issuer = await startIssuer();
    const app = serve(...guard(issuer, 'respond'));
    const response = await get(app, await send(issuer));
    expect([response.status, response.headers['content-type']]).toEqual([error.status, 'application/json']);
    const code = error.code === undefined ? {} : { error: error.code };
    expect(response.body).toEqual({ ...code, error_description: error.message });
    expect(challengesOf(response)).toEqual([{ scheme: 'Bearer', parameters: { realm: 'r', ...parameters } }]);
    expect(response.headers['cache-control']).toBe('no-store');
    expect(handled(app)).toBe(0);
    await expectAccepted(app, issuer);
  });

  it.each(REJECTIONS)(
    "is a problem document with errors: 'problem': $what",
    async ({ send, error, title, parameters }) => {
      const issuer = await startIssuer();
      const app = serve(...guard(issuer, 'problem'));
      const response = await get(app, await send(issuer));
      const { status, code } = error;
      expect([response.status, response.headers['content-type']]).toEqual([status, 'application/problem+json']);
      const members = { type: 'about:blank', title, status, detail: error.message };
      expect(response.body).toEqual(code === undefined ? members : { ...members, error: code });
      expect(challengesOf(response)).toEqual([{ scheme: 'Bearer', parameters: { realm: 'r', ...parameters } }]);
      expect(handled(app)).toBe(0);
      await expectAccepted(app, issuer);
    },
  );

  it.each(REJECTIONS)('reaches the error handler with its challenge: $what', async ({ send, error, parameters }) => {
    const issuer = await startIssuer();
    const { app, errors } = serveWithErrorHandler(...guard(issuer, 'next'));
    const response = await get(app, await send(issuer));
    expect([response.status, response.body, handled(app)]).toEqual([error.status, { caught: true }, 0]);
    const { status, code, reason, name, message } = error;
    expect(errors[0]).toBeInstanceOf(error.constructor);
    expect(errors[0]).toBeInstanceOf(ResourceServerError);
    expect(errors[0]).toMatchObject({ status, code, reason, name, message });
    const challenge = response.headers['www-authenticate'];
    expect((errors[0] as ResourceServerError).headers).toEqual({
      'Cache-Control': 'no-store',
      'WWW-Authenticate': challenge,
    });
    expect(challengesOf(response)).toEqual([{ scheme: 'Bearer', parameters: { realm: 'r', ...parameters } }]);
    await expectAccepted(app, issuer);
  });

  it.each(REJECTIONS)(
    'includes its challenge in the default error handler of Express: $what',
    async ({ send, error, parameters }) => {
      const issuer = await startIssuer();
      const app = serve(...guard(issuer, 'next'));
      const response = await get(app, await send(issuer));
      expect([response.status, handled(app)]).toEqual([error.status, 0]);
      expect(challengesOf(response)).toEqual([{ scheme: 'Bearer', parameters: { realm: 'r', ...parameters } }]);
      expect(response.headers['cache-control']).toBe('no-store');
      await expectAccepted(app, issuer);
    },
  );

  it('includes its challenge if an error handler writes its own response', async () => {
    const issuer = await startIssuer();
    const app = express();
    app.use(...guard(issuer, 'next'));
    const handler: express.ErrorRequestHandler = (error, _req, res, next) => {
      if (res.headersSent) next(error);
      else res.status(401).type('text').send('no');
    };
    app.use(handler);
    const response = await get(app, await issuer.issue({ exp: 1 }));
    expect([response.status, response.text]).toEqual([401, 'no']);
    expect(challengesOf(response)[0]?.parameters.error).toBe('invalid_token');
  });

  it('goes to the error handler if the response has already started', async () => {
    const issuer = await startIssuer();
    const errors: unknown[] = [];
    const app = express();
    app.use((_req, res, next) => {
      res.write('begun');
      next();
    });
    app.use(...guard(issuer, 'respond'));
    const handler: express.ErrorRequestHandler = (error, _req, res, next) => {
      errors.push(error);
      if (res.headersSent) res.end();
      else next(error);
    };
    app.use(handler);
    expect(
      (
        await supertest(app)
          .get('/')
          .buffer(true)
          .parse((res, done) => {
            let text = '';
            res.on('data', (chunk: Buffer) => (text += chunk.toString()));
            res.on('end', () => {
              done(null, text);
            });
          })
      ).body,
    ).toBe('begun');
    expect(errors[0]).toBeInstanceOf(MissingTokenError);
  });

  it('has no body for HEAD, and the same header', async () => {
    const issuer = await startIssuer();
    const port = await listen(serveFor(issuer));
    const [head, full] = await Promise.all(['HEAD', 'GET'].map((method) => getRaw(port, [], { method })));
    expect([head?.status, head?.body]).toEqual([401, '']);
    const length = { 'content-length': full?.headers['content-length'], date: full?.headers.date };
    expect({ ...head?.headers, ...length }).toEqual(full?.headers);
  });
});

describe('the response to a rejected request', () => {
  const SECRET = 'sEcReTmArKeR';

  it.each<[string, (issuer: TestIssuer) => Promise<string>]>([
    ['a claim', (issuer) => issuer.issue({ sub: SECRET, exp: 1 })],
    ['an issuer', (issuer) => issuer.issue({ iss: `https://${SECRET}.example.com` })],
    ['an audience', (issuer) => issuer.issue({ aud: SECRET })],
    ['a type', (issuer) => issuer.issue({}, { header: { typ: SECRET } })],
    ['a key id', (issuer) => issuer.issue({}, { header: { kid: SECRET } })],
    ['the complete token', () => Promise.resolve(SECRET)],
    ['the header', () => Promise.resolve(`${SECRET} "${SECRET}"`)],
    ['a scope', (issuer) => issuer.issue({ scope: SECRET })],
  ])('contains nothing of the request: %s', async (_what, send) => {
    const issuer = await startIssuer();
    const port = await listen(serve(...guard(issuer, 'respond')));
    const response = await getRaw(port, ['Authorization', `Bearer ${await send(issuer)}`]);
    expect([400, 401, 403]).toContain(response.status);
    expect(JSON.stringify(response)).not.toContain(SECRET);
    const { app, errors } = serveWithErrorHandler(...guard(issuer, 'next'));
    await get(app, await send(issuer));
    expect(errors).toHaveLength(1);
    const { message, stack, headers } = errors[0] as ResourceServerError;
    expect(JSON.stringify([message, stack, headers])).not.toContain(SECRET);
  });

  it('has a cause on its error: what was checked, expected and received', async () => {
    const issuer = await startIssuer();
    const verifier = jwtVerifier({ issuer: issuer.url, audience: 'mine' });
    await expect(verifier.verify(await issuer.issue({ aud: 'other' }))).rejects.toMatchObject({
      name: 'InvalidTokenError',
      reason: 'audience_mismatch',
      cause: { checked: 'aud', expected: ['mine'], found: 'other' },
    });
    await verifier.close();
  });
});
