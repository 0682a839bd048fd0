import express from 'express';
import { describe, expect, it } from '@jest/globals';
import {
  ConfigurationError,
  InvalidRequestError,
  type InvalidRequestReason,
  jwtBearer,
  type JwtBearerOptions,
  MissingTokenError,
} from '../../lib/index.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import {
  challengesOf,
  getRaw,
  listen,
  type RawAnswer,
  serveWithErrorHandler,
  startIssuer,
} from '../support/helpers.js';

interface Api {
  readonly issuer: TestIssuer;
  readonly token: string;
  readonly runs: () => number;
  readonly send: (fields: readonly string[], path?: string) => Promise<RawAnswer>;
}

/** An API whose handler returns whether the request is authenticated. Requests are sent byte by byte. */
async function start(options: Partial<JwtBearerOptions> = {}): Promise<Api> {
  const issuer = await startIssuer();
  let runs = 0;
  const app = express();
  app.use(jwtBearer({ issuer: issuer.url, audience: issuer.audience, ...options }), (req, res) => {
    runs++;
    res.json({ authenticated: 'auth' in req });
  });
  const port = await listen(app);
  const send = (fields: readonly string[], path = '/'): Promise<RawAnswer> => getRaw(port, fields, { path });
  return { issuer, token: await issuer.issue(), runs: () => runs, send };
}

async function expectBadRequest(api: Api, response: RawAnswer, reason: InvalidRequestReason): Promise<void> {
  const { message } = new InvalidRequestError(reason);
  const parameters = { error: 'invalid_request', error_description: message };
  expect({ status: response.status, body: JSON.parse(response.body) as unknown }).toEqual({
    status: 400,
    body: parameters,
  });
  expect(challengesOf(response)).toEqual([{ scheme: 'Bearer', parameters }]);
  expect(api.runs()).toBe(0);
  expect((await api.send(['Authorization', `Bearer ${api.token}`])).status).toBe(200);
}

async function expectMissing(api: Api, response: RawAnswer): Promise<void> {
  const { message } = new MissingTokenError();
  expect(response.status).toBe(401);
  expect(JSON.parse(response.body)).toEqual({ error_description: message });
  expect(challengesOf(response)).toEqual([{ scheme: 'Bearer', parameters: {} }]);
  expect(api.runs()).toBe(0);
  expect((await api.send(['Authorization', `Bearer ${api.token}`])).status).toBe(200);
}

describe('the Authorization header', () => {
  it.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])('may contain the scheme %s', async (scheme) => {
    const api = await start();
    const response = await api.send(['Authorization', `${scheme} ${api.token}`]);
    expect([response.status, response.body]).toEqual([200, '{"authenticated":true}']);
  });

  it('may contain several spaces before the token, and white space around the value', async () => {
    const api = await start();
    expect((await api.send(['AUTHORIZATION', ` \t Bearer   ${api.token} \t`])).status).toBe(200);
  });

  it.each<[string, (token: string) => string, InvalidRequestReason]>([
    ['no token', () => 'Bearer', 'malformed_credentials'],
    ['a space and no token', () => 'Bearer ', 'malformed_credentials'],
    ['a tab instead of a space', (token) => `Bearer\t${token}`, 'malformed_credentials'],
    ['a tab after the space', (token) => `Bearer \t${token}`, 'malformed_credentials'],
    ['a colon after the scheme', (token) => `Bearer: ${token}`, 'malformed_credentials'],
    ['an equals sign after the scheme', (token) => `Bearer=${token}`, 'malformed_credentials'],
    ['a slash after the scheme', (token) => `Bearer/${token}`, 'malformed_credentials'],
    ['a quoted token', (token) => `Bearer "${token}"`, 'malformed_credentials'],
    ['a token in brackets', (token) => `Bearer <${token}>`, 'malformed_credentials'],
    ['two tokens', (token) => `Bearer ${token} ${token}`, 'malformed_credentials'],
    ['the scheme twice', (token) => `Bearer Bearer ${token}`, 'malformed_credentials'],
    ['a parameter', (token) => `Bearer token="${token}"`, 'malformed_credentials'],
    ['padding inside the token', (token) => `Bearer a=${token}`, 'malformed_credentials'],
    ['only padding', () => 'Bearer ==', 'malformed_credentials'],
    ['a byte outside ASCII', (token) => `Bearer ${token}\xff`, 'malformed_credentials'],
    ['percent encoding', (token) => `Bearer ${token}%3D`, 'malformed_credentials'],
    ['a semicolon', (token) => `Bearer ${token};x=1`, 'malformed_credentials'],
    ['a comma at the end', (token) => `Bearer ${token},`, 'several_credentials'],
    ['another credential after a comma', (token) => `Bearer ${token}, Bearer ${token}`, 'several_credentials'],
    ['Basic after a comma', (token) => `Bearer ${token},Basic YTpi`, 'several_credentials'],
    ['Basic before a comma', (token) => `Basic YTpi, Bearer ${token}`, 'several_credentials'],
    ['DPoP after a comma', (token) => `Basic YTpi,DPoP ${token}`, 'several_credentials'],
  ])('causes 400 with %s', async (_what, write, reason) => {
    const api = await start();
    await expectBadRequest(api, await api.send(['Authorization', write(api.token)]), reason);
  });

  it.each<[string, (token: string) => string]>([
    ['empty', () => ''],
    ['Basic', () => 'Basic YTpi'],
    ['a scheme that starts with Bearer', (token) => `Bearer2 ${token}`],
    ['a scheme that ends with Bearer', (token) => `XBearer ${token}`],
    ['Digest', () => 'Digest username="a", realm="b", uri="/", response="c"'],
  ])('contains no credentials if its scheme is not supported: %s', async (_what, write) => {
    const api = await start();
    await expectMissing(api, await api.send(['Authorization', write(api.token)]));
  });

  it('with a token and no scheme causes a response that suggests the Bearer scheme', async () => {
    const api = await start();
    const response = await api.send(['Authorization', api.token]);
    expect(response.status).toBe(401);
    expect(JSON.parse(response.body)).toEqual({
      error_description: 'The Authorization header has no scheme. Use the Bearer scheme.',
    });
  });

  it('is the only place that is searched for a token', async () => {
    const api = await start();
    const fields = [
      'Cookie',
      `access_token=${api.token}`,
      'X-Access-Token',
      api.token,
      'Proxy-Authorization',
      `Bearer ${api.token}`,
    ];
    await expectMissing(api, await api.send(fields, `/?access_token=${api.token}`));
  });

  it('causes 400 if it is sent twice, whichever is valid', async () => {
    const api = await start();
    const good = ['Authorization', `Bearer ${api.token}`];
    for (const other of [good, ['authorization', 'Bearer x'], ['AUTHORIZATION', 'Basic YTpi'], ['Authorization', '']]) {
      const first = await api.send([...good, ...other]);
      const second = await api.send([...other, ...good]);
      const { message } = new InvalidRequestError('several_credentials');
      for (const response of [first, second]) {
        expect(response.status).toBe(400);
        expect(challengesOf(response)[0]?.parameters).toEqual({ error: 'invalid_request', error_description: message });
      }
    }
    expect(api.runs()).toBe(0);
    expect((await api.send(good)).status).toBe(200);
  });
});

describe('a token that tokenFrom returns', () => {
  const fromCookie: Partial<JwtBearerOptions> = {
    tokenFrom: ({ headers }) => /(?:^|; )token=([^;]*)/.exec(headers.cookie ?? '')?.[1],
  };
  const fromQuery: Partial<JwtBearerOptions> = { tokenFrom: ({ query }) => query.token as string | undefined };

  it('may be in a cookie', async () => {
    const api = await start(fromCookie);
    expect((await api.send(['Cookie', `token=${api.token}`])).status).toBe(200);
    await expectMissing(await start(fromCookie), await api.send(['Cookie', 'other=1']));
  });

  it('is missing if tokenFrom returns null', async () => {
    const api = await start({ tokenFrom: () => null });
    await expectMissing(api, await api.send([]));
  });

  it('does not disable the Authorization header', async () => {
    const api = await start(fromQuery);
    expect((await api.send(['Authorization', `Bearer ${api.token}`])).status).toBe(200);
  });

  it('is read if the Authorization header has another scheme', async () => {
    const api = await start(fromQuery);
    expect((await api.send(['Authorization', 'Basic YTpi'], `/?token=${api.token}`)).status).toBe(200);
  });

  it('causes 400 together with a token in the header, even with the same token', async () => {
    const api = await start(fromQuery);
    const response = await api.send(['Authorization', `Bearer ${api.token}`], `/?token=${api.token}`);
    await expectBadRequest(api, response, 'several_credentials');
  });

  it('causes 400 if it is sent twice', async () => {
    const api = await start(fromQuery);
    await expectBadRequest(api, await api.send([], `/?token=${api.token}&token=x`), 'several_credentials');
  });

  it.each([
    ['a%20b', 'malformed_credentials'],
    ['%E2%98%83', 'malformed_credentials'],
    ['a%0D%0AX-Evil:1', 'malformed_credentials'],
    ['a,b', 'several_credentials'],
  ] as const)('must match the grammar of tokens: %j does not match', async (value, reason) => {
    const api = await start(fromQuery);
    await expectBadRequest(api, await api.send([], `/?token=${value}`), reason);
  });

  it('is absent if tokenFrom returns an empty string', async () => {
    const api = await start(fromQuery);
    await expectMissing(api, await api.send([], '/?token='));
  });

  it('causes the error of the application if tokenFrom throws', async () => {
    const issuer = await startIssuer();
    const failure = new Error('no cookie parser');
    const tokenFrom = (): string => {
      throw failure;
    };
    const { app, errors } = serveWithErrorHandler(
      jwtBearer({ issuer: issuer.url, audience: issuer.audience, tokenFrom }),
    );
    const response = await getRaw(await listen(app), []);
    expect([response.status, response.headers['www-authenticate'], response.body]).toEqual([
      500,
      undefined,
      '{"caught":true}',
    ]);
    expect(errors).toEqual([failure]);
  });

  it.each<[string, unknown]>([
    ['a number', 7],
    ['an object', { token: 'x' }],
    ['true', true],
    ['false', false],
  ])('causes 400 if the parsed body contains %s', async (_what, found) => {
    const api = await start({ tokenFrom: ({ query }) => ('token' in query ? (found as string) : undefined) });
    await expectBadRequest(api, await api.send([], '/?token=x'), 'malformed_credentials');
  });

  it.each([
    ['of a token', (): Promise<string> => Promise.resolve('x')],
    ['that rejects, without an unhandled rejection', (): Promise<string> => Promise.reject(new Error('no session'))],
  ])('causes a ConfigurationError if it is a promise %s', async (_what, returnPromise) => {
    const issuer = await startIssuer();
    const tokenFrom = returnPromise as unknown as () => string;
    const { app, errors } = serveWithErrorHandler(
      jwtBearer({ issuer: issuer.url, audience: issuer.audience, tokenFrom }),
    );
    const response = await getRaw(await listen(app), []);
    expect([response.status, response.headers['www-authenticate'], response.body]).toEqual([
      500,
      undefined,
      '{"caught":true}',
    ]);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toBeInstanceOf(ConfigurationError);
    expect(errors[0]).toMatchObject({ reason: 'verifier_invalid', option: 'bearer: tokenFrom' });
  });
});

describe('optional authentication', () => {
  it.each<[string, string[]]>([
    ['no credentials', []],
    ['another scheme', ['Authorization', 'Basic YTpi']],
  ])('allows %s and sets no req.auth', async (_what, fields) => {
    const api = await start({ optional: true });
    const response = await api.send(fields);
    expect([response.status, response.body]).toEqual([200, '{"authenticated":false}']);
    expect(response.headers['www-authenticate']).toBeUndefined();
    expect((await api.send(['Authorization', `Bearer ${api.token}`])).body).toBe('{"authenticated":true}');
  });

  it.each<[string, (token: string) => string[], number]>([
    ['an invalid token', (token) => ['Authorization', `Bearer ${token}x`], 401],
    ['an opaque token', () => ['Authorization', 'Bearer x'], 401],
    ['a scheme without a token', () => ['Authorization', 'Bearer'], 400],
    ['a tab before the token', (token) => ['Authorization', `Bearer\t${token}`], 400],
    ['two headers', (token) => ['Authorization', `Bearer ${token}`, 'Authorization', 'Basic YTpi'], 400],
  ])('still rejects %s', async (_what, write, status) => {
    const api = await start({ optional: true });
    const response = await api.send(write(api.token));
    expect(response.status).toBe(status);
    expect(challengesOf(response)[0]?.parameters.error).toBe(status === 400 ? 'invalid_request' : 'invalid_token');
    expect(api.runs()).toBe(0);
  });
});
