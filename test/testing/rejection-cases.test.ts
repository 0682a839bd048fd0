import { describe, expect, it } from '@jest/globals';
import express, { type Express } from 'express';
import { introspectionBearer, jwtBearer, requireScopes } from 'express-resource-server';
import { createTestIssuer, rejectionCases, type TestIssuer } from 'express-resource-server/testing';
import supertest from 'supertest';

type Protection = (issuer: TestIssuer) => ReturnType<typeof jwtBearer>;

const PROTECTIONS: [name: string, protect: Protection][] = [
  ['jwtBearer', ({ url, audience, fetch }) => jwtBearer({ issuer: url, audience, fetch })],
  ['jwtBearer with DPoP', ({ url, audience, fetch }) => jwtBearer({ issuer: url, audience, fetch, dpop: 'allowed' })],
  [
    'jwtBearer with required DPoP',
    ({ url, audience, fetch }) => jwtBearer({ issuer: url, audience, fetch, dpop: 'required' }),
  ],
  [
    'jwtBearer with mutual TLS',
    ({ url, audience, fetch }) => jwtBearer({ issuer: url, audience, fetch, mtls: 'allowed' }),
  ],
  [
    'introspectionBearer',
    ({ url, audience, fetch, clientId, clientSecret }) =>
      introspectionBearer({ issuer: url, audience, fetch, clientId, clientSecret }),
  ],
];

function api(protection: ReturnType<typeof jwtBearer>): Express {
  const app = express();
  app.use(protection);
  app.get('/', requireScopes('orders:read'), (_req, res) => {
    res.json({});
  });
  return app;
}

describe.each(PROTECTIONS)('rejectionCases() with %s', (_, protect) => {
  it('yields requests that the route rejects with the status', async () => {
    const issuer = await createTestIssuer({ listen: false });
    const app = api(protect(issuer));
    const cases = [...rejectionCases(issuer)];
    const found = [];
    for (const { name, headers } of cases) {
      found.push({ name, headers, status: (await supertest(app).get('/').set(headers)).status });
    }
    expect(found).toEqual(cases);
  });
});

describe('rejectionCases()', () => {
  it('covers credentials, headers, every kind of invalid token, altered tokens and bound tokens', async () => {
    const issuer = await createTestIssuer({ listen: false });
    const cases = [...rejectionCases(issuer)];
    expect(cases.length).toBeGreaterThan(20);
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    for (const word of [
      'no credentials',
      'scheme',
      'expired',
      'alg none',
      'ID token',
      'changed',
      'DPoP',
      'certificate',
    ]) {
      expect(cases.some(({ name }) => name.includes(word))).toBe(true);
    }
  });

  it('finds a route that is not protected', async () => {
    const issuer = await createTestIssuer({ listen: false });
    const app = express().get('/', (_req, res) => void res.json({}));
    for (const { headers, status } of rejectionCases(issuer)) {
      expect((await supertest(app).get('/').set(headers)).status).not.toBe(status);
    }
  });
});
