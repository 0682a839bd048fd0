import { afterEach, expect } from '@jest/globals';
import express from 'express';
import type { Express } from 'express';
import supertest from 'supertest';
import { getAuth, jwtBearer, type JwtBearerOptions, type Middleware } from '../lib/index.js';
import { TestIssuer, type TestIssuerOptions } from '../lib/testing/issuer.js';

const open: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()));
});

/** An issuer that ends with the test. */
export async function startIssuer(options?: TestIssuerOptions): Promise<TestIssuer> {
  const issuer = await TestIssuer.start(options);
  open.push(() => issuer.close());
  return issuer;
}

/** An API whose every path is behind the given middlewares and answers with what a handler learns. */
export function serve(...middlewares: Middleware[]): Express {
  const app = express();
  app.use(...middlewares, (req, res) => {
    const { clientId, subject, scopes, isMachine } = getAuth(req);
    res.json({ clientId, subject, scopes, isMachine });
  });
  return app;
}

/** The shortest API for an issuer. */
export function serveFor(issuer: TestIssuer, options: Partial<JwtBearerOptions> = {}): Express {
  return serve(jwtBearer({ issuer: issuer.url, audience: issuer.audience, ...options }));
}

export function get(app: Express, token?: string): supertest.Test {
  const request = supertest(app).get('/');
  return token === undefined ? request : request.set('Authorization', `Bearer ${token}`);
}

/** What a refusal looks like on the wire. */
export async function expectRefused(
  app: Express,
  token: string | undefined,
  status: number,
  code: string | undefined,
): Promise<supertest.Response> {
  const response = await get(app, token);
  expect({ status: response.status, code: (response.body as { error?: string }).error }).toEqual({ status, code });
  return response;
}

export function base64url(text: string | Uint8Array): string {
  return Buffer.from(text).toString('base64url');
}
