import { createHmac } from 'node:crypto';
import {
  createServer,
  type IncomingHttpHeaders,
  request,
  type RequestListener,
  type RequestOptions,
  type Server,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect } from '@jest/globals';
import express from 'express';
import type { ErrorRequestHandler, Express } from 'express';
import supertest from 'supertest';
import {
  type AccessToken,
  getAuth,
  InsufficientScopeError,
  type InsufficientScopeReason,
  InvalidTokenError,
  type InvalidTokenReason,
  jwtBearer,
  type JwtBearerOptions,
  type Middleware,
  ResourceServerError,
  type TokenVerifier,
  UpstreamError,
  type UpstreamReason,
} from '../../lib/index.js';
import { type SigningKey, TestIssuer, type TestIssuerOptions } from '../../lib/testing/issuer.js';

const opened: (() => Promise<unknown>)[] = [];
const handlerRuns = new WeakMap<Express, number>();

afterEach(async () => {
  await Promise.all(opened.splice(0).map((close) => close()));
});

/** Starts an issuer that is closed at the end of the test. */
export async function startIssuer(options?: TestIssuerOptions): Promise<TestIssuer> {
  const issuer = await TestIssuer.start(options);
  opened.push(() => issuer.close());
  return issuer;
}

/** An API that requires the given middlewares on every path and responds with the auth object. */
export function serve(...middlewares: Middleware[]): Express {
  const app = express();
  app.use(...middlewares, (req, res) => {
    handlerRuns.set(app, handled(app) + 1);
    const { clientId, subject, scopes, isMachine } = getAuth(req);
    res.json({ clientId, subject, scopes, isMachine });
  });
  return app;
}

/** The smallest API for an issuer. */
export function serveFor(issuer: TestIssuer, options: Partial<JwtBearerOptions> = {}): Express {
  return serve(jwtBearer({ issuer: issuer.url, audience: issuer.audience, ...options }));
}

export function get(app: Express, token?: string): supertest.Test {
  const request = supertest(app).get('/');
  return token === undefined ? request : request.set('Authorization', `Bearer ${token}`);
}

/** Expects a rejected request with this status and error. The handler of `serve` must not have run. */
export async function expectRefused(
  app: Express,
  token: string | undefined,
  status: number,
  code: string | undefined,
): Promise<supertest.Response> {
  const before = handled(app);
  const response = await get(app, token);
  expect(handled(app)).toBe(before);
  expect({ status: response.status, code: (response.body as { error?: string }).error }).toEqual({ status, code });
  return response;
}

export function base64url(text: string | Uint8Array): string {
  return Buffer.from(text).toString('base64url');
}

/** How often handlers of `serve` ran. */
export function handled(app: Express): number {
  return handlerRuns.get(app) ?? 0;
}

/** Expects a rejection for exactly this reason: its status, body and challenge, and that no handler ran. */
export async function expectInvalidToken(
  app: Express,
  token: string | undefined,
  reason: InvalidTokenReason,
): Promise<supertest.Response> {
  const response = await expectRefused(app, token, 401, 'invalid_token');
  const { message } = new InvalidTokenError(reason);
  expect(response.body).toEqual({ error: 'invalid_token', error_description: message });
  expect(challengesOf(response)).toEqual([
    { scheme: 'Bearer', parameters: { error: 'invalid_token', error_description: message } },
  ]);
  return response;
}

/** Expects a rejection by a gate for exactly this reason, with 403 and never 401. */
export async function expectForbidden(
  app: Express,
  token: string,
  reason: InsufficientScopeReason,
  scope?: string,
): Promise<void> {
  const response = await expectRefused(app, token, 403, 'insufficient_scope');
  const { message } = new InsufficientScopeError(reason);
  expect(response.body).toEqual({ error: 'insufficient_scope', error_description: message });
  const parameters = { error: 'insufficient_scope', error_description: message };
  expect(challengesOf(response)).toEqual([
    { scheme: 'Bearer', parameters: scope === undefined ? parameters : { ...parameters, scope } },
  ]);
}

/** Expects a failure of the authorization server: 503 with Retry-After, and nothing about the caller's token. */
export async function expectUnavailable(
  app: Express,
  token: string | undefined,
  reason: UpstreamReason,
): Promise<supertest.Response> {
  const response = await expectRefused(app, token, 503, 'temporarily_unavailable');
  expect(response.body).toEqual({
    error: 'temporarily_unavailable',
    error_description: new UpstreamError(reason, 1).message,
  });
  expect(response.headers['retry-after']).toMatch(/^[1-9]\d*$/);
  expect(response.headers['www-authenticate']).toBeUndefined();
  expect(response.headers['cache-control']).toBe('no-store');
  return response;
}

/** An API with an error handler that records the error and responds with its status or 500. */
export function serveWithErrorHandler(...middlewares: Middleware[]): { app: Express; errors: unknown[] } {
  const errors: unknown[] = [];
  const app = serve(...middlewares);
  const handler: ErrorRequestHandler = (error: unknown, _req, res, next) => {
    errors.push(error);
    if (res.headersSent) next(error);
    else res.status(error instanceof ResourceServerError ? (error.status ?? 500) : 500).json({ caught: true });
  };
  app.use(handler);
  return { app, errors };
}

/** Expects that the application's error handler receives the error and responds 500, and that no handler runs. Returns the error. */
export async function expectHandedOver(token: string | undefined, ...middlewares: Middleware[]): Promise<unknown> {
  const { app, errors } = serveWithErrorHandler(...middlewares);
  const response = await get(app, token);
  expect({ status: response.status, body: response.body as unknown }).toEqual({ status: 500, body: { caught: true } });
  expect(response.headers['www-authenticate']).toBeUndefined();
  expect({ handled: handled(app), errors: errors.length }).toEqual({ handled: 0, errors: 1 });
  return errors[0];
}

/** Signs a header and a payload without checking or changing them. ES256 only. */
export async function signRaw(header: string, payload: string | Uint8Array, key: SigningKey): Promise<string> {
  const input = `${base64url(header)}.${base64url(payload)}`;
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  const signature = await crypto.subtle.sign(algorithm, key.privateKey, Buffer.from(input));
  return `${input}.${base64url(new Uint8Array(signature))}`;
}

/** A token with a MAC: 256, 384 or 512. */
export function signWithSecret(bits: number, claims: object, secret: string | Uint8Array, header: object = {}): string {
  const input = `${base64url(JSON.stringify({ alg: `HS${bits}`, ...header }))}.${base64url(JSON.stringify(claims))}`;
  return `${input}.${createHmac(`sha${bits}`, secret).update(input).digest('base64url')}`;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Starts a server that stops at the end of the test. Returns its port. */
export function listen(app: RequestListener): Promise<number> {
  return open(createServer(app));
}

/** Starts a server on a free port, and stops it at the end of the test. */
export async function open(server: Server): Promise<number> {
  const port = await start(server);
  opened.push(() => stop(server));
  return port;
}

export async function start(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

export function stop(server: Server): Promise<unknown> {
  return new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
}

/** Sends header fields exactly as listed after a correct `Host`: name, value, name, value. */
export function getRaw(port: number, fields: readonly string[], options: RequestOptions = {}): Promise<RawAnswer> {
  return getExactly(port, ['Host', `127.0.0.1:${port}`, ...fields], options);
}

/** The same, with a `Host` only if it is among the fields. */
export function getExactly(port: number, fields: readonly string[], options: RequestOptions = {}): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    // Node accepts the flat form, but its types of version 20 do not contain it.
    const headers = fields as unknown as RequestOptions['headers'];
    const sent = request({ host: '127.0.0.1', port, ...options, headers, setHost: false } as RequestOptions, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => {
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks).toString() });
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}

export interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The challenges of a response, parsed strictly. */
export function challengesOf(response: { headers: unknown }): Challenge[] {
  const value = (response.headers as Record<string, unknown>)['www-authenticate'];
  if (typeof value !== 'string') throw new Error('the response has no challenge');
  return parseChallenges(value);
}

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const PARAMETER = new RegExp(`(${TOKEN})=(?:(${TOKEN})|"((?:[\\t !#-\\[\\]-~]|\\\\[\\t -~])*)")`, 'y');
const SCHEME = new RegExp(`(${TOKEN})(?: +(?=${TOKEN}=)|(?=, |$))`, 'y');

/**
 * Parses WWW-Authenticate (RFC 9110 §11.6.1) strictly: printable ASCII, only `auth-param`s, each of them once,
 * separated by a comma and a space. Throws for anything else.
 */
export function parseChallenges(text: string): Challenge[] {
  const challenges: Challenge[] = [];
  let at = 0;
  const read = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(text) ?? undefined;
    if (match !== undefined) at = pattern.lastIndex;
    return match;
  };
  do {
    const scheme = read(SCHEME)?.[1];
    if (scheme === undefined) throw new Error(`no challenge at ${at} of ${JSON.stringify(text)}`);
    const parameters: Record<string, string> = {};
    for (let found = read(PARAMETER); found !== undefined;) {
      const [, name = '', token, quoted] = found;
      if (Object.hasOwn(parameters, name.toLowerCase())) throw new Error(`${name} twice in ${JSON.stringify(text)}`);
      parameters[name.toLowerCase()] = token ?? (quoted ?? '').replace(/\\(.)/g, '$1');
      const before = at;
      found = read(/, /y) === undefined ? undefined : read(PARAMETER);
      if (found === undefined) at = before;
    }
    challenges.push({ scheme, parameters });
  } while (read(/, /y) !== undefined);
  if (at !== text.length) throw new Error(`no challenge at ${at} of ${JSON.stringify(text)}`);
  return challenges;
}

/** `verify` as a promise, whether or not the result is cached. */
export async function verifyAsync(verifier: Pick<TokenVerifier, 'verify'>, token: string): Promise<AccessToken> {
  return verifier.verify(token);
}

/** The result that is cached for a token: `verify` returns it synchronously. */
export function cachedResult(verifier: Pick<TokenVerifier, 'verify'>, token: string): AccessToken | undefined {
  const result = verifier.verify(token);
  if (!(result instanceof Promise)) return result;
  result.catch(() => undefined);
  return undefined;
}
