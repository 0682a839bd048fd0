import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { requireBearerAuth } from '@modelcontextprotocol/express';
import { InvalidTokenError, ServerError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { requireBearerAuth as requireBearerAuthV1 } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import express, { type RequestHandler } from 'express';
import {
  bearer,
  ConfigurationError,
  createAccessToken,
  jwtVerifier,
  type TokenVerifier,
} from 'express-resource-server';
import { mcpScopes, mcpTokenVerifier, type McpTokenVerifierOptions } from 'express-resource-server/mcp';
import supertest from 'supertest';
import { TestIssuer } from '../../lib/testing/issuer.js';
import { challengesOf } from '../support/helpers.js';

const RESOURCE = 'https://mcp.example.com/mcp';
const METADATA = 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp';
const errors = { InvalidTokenError, ServerError };
let issuer: TestIssuer;

beforeAll(async () => {
  issuer = await TestIssuer.start();
});

afterAll(() => issuer.close());

function verifierFor(issuerUrl = issuer.url): TokenVerifier {
  return jwtVerifier({ issuer: issuerUrl, audience: new URL(RESOURCE) });
}

type Guard = (verifier: TokenVerifier, options?: McpTokenVerifierOptions) => RequestHandler;

const guards: Readonly<Record<string, Guard>> = {
  'version 2': (verifier, options) =>
    requireBearerAuth({
      verifier: mcpTokenVerifier(verifier, { resource: RESOURCE, resourceMetadata: METADATA, ...options }),
      requiredScopes: ['files:read'],
      resourceMetadataUrl: METADATA,
      expectedResource: new URL(RESOURCE),
    }),
  'version 1': (verifier, options) =>
    requireBearerAuthV1({
      verifier: mcpTokenVerifier(verifier, { resource: RESOURCE, resourceMetadata: METADATA, errors, ...options }),
      requiredScopes: ['files:read'],
      resourceMetadataUrl: METADATA,
      expectedResource: new URL(RESOURCE),
    }),
};

describe.each(Object.entries(guards))('requireBearerAuth of %s of the SDK', (_, guard) => {
  const call = (middleware: RequestHandler, token: string): supertest.Test => {
    const app = express().post('/mcp', middleware, (req, res) => {
      res.json(Reflect.get(req, 'auth'));
    });
    return supertest(app).post('/mcp').auth(token, { type: 'bearer' });
  };

  it('accepts a valid token', async () => {
    const response = await call(guard(verifierFor()), await issuer.issue({ aud: RESOURCE, scope: 'files:read' }));
    expect(response.status).toBe(200);
    expect(response.body).toMatchObject({
      clientId: 'client-1',
      scopes: ['files:read'],
      resource: RESOURCE,
      resourceMetadataUrl: METADATA,
    });
  });

  it('knows the scopes that a scope includes', async () => {
    const middleware = guard(verifierFor(), { scopeHierarchy: { 'files:write': ['files:read'] } });
    const token = await issuer.issue({ aud: RESOURCE, scope: 'files:write' });
    expect((await call(middleware, token)).status).toBe(200);
  });

  const invalid: Readonly<Record<string, Record<string, unknown>>> = {
    'for another resource': { aud: 'https://other.example.com' },
    expired: { exp: 1_000_000_000 },
    'an ID token': { at_hash: 'x' },
    'bound to a DPoP key': { cnf: { jkt: 'x'.repeat(43) } },
    'bound to a certificate': { cnf: { 'x5t#S256': 'x'.repeat(43) } },
  };

  it.each(Object.entries(invalid))('responds 401 for a token that is %s', async (_name, claims) => {
    const token = await issuer.issue({ aud: RESOURCE, scope: 'files:read', ...claims });
    const response = await call(guard(verifierFor()), token);
    expect(response.status).toBe(401);
    expect(challengesOf(response)[0]?.parameters).toMatchObject({
      error: 'invalid_token',
      resource_metadata: METADATA,
    });
    expect(response.body).toMatchObject({ error: 'invalid_token' });
  });

  it.each(['no-jwt', 'a.b.c', '"quoted"'])('responds 401 for the text %s', async (token) => {
    expect((await call(guard(verifierFor()), token)).status).toBe(401);
  });

  it('responds 5xx while the issuer is unavailable, without a challenge', async () => {
    const down = await TestIssuer.start();
    const token = await down.issue({ aud: RESOURCE, scope: 'files:read' });
    await down.close();
    const response = await call(guard(verifierFor(down.url)), token);
    expect(response.status).toBe(500);
    expect(response.headers['www-authenticate']).toBeUndefined();
    expect(response.body).toMatchObject({ error: 'server_error' });
  });

  it('responds 500 for a mistake of the programmer', async () => {
    const broken: TokenVerifier = { verify: () => Promise.reject(new TypeError('a mistake')) };
    const response = await call(guard(broken), 'token');
    expect(response.status).toBe(500);
    expect(JSON.stringify(response.body)).not.toContain('a mistake');
  });
});

describe('mcpTokenVerifier', () => {
  const accepting: TokenVerifier = { verify: () => createAccessToken({ iss: 'own', scope: 'files.read' }) };

  it('returns what mcpScopes needs to know', async () => {
    const { verifyAccessToken } = mcpTokenVerifier(accepting, {
      scopeNames: { 'files.write': 'api://files/files.write' },
    });
    const authInfo = await verifyAccessToken('token');
    expect(mcpScopes('files.read')({ authInfo })).toBeUndefined();
    expect(mcpScopes('files.write')({ authInfo })?.scopes).toEqual(['api://files/files.write']);
  });

  it('has the failed check as the cause of the cause, and no token in the message', async () => {
    const { verifyAccessToken } = mcpTokenVerifier(verifierFor(), { errors });
    const thrown: unknown = await verifyAccessToken('no-jwt').catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(InvalidTokenError);
    expect(thrown).toMatchObject({ cause: { reason: 'not_a_jwt' } });
    expect(String(thrown)).not.toContain('no-jwt');
  });

  it.each<[string, unknown[]]>([
    ['a middleware', [bearer(accepting)]],
    ['nothing', []],
    ['an unknown option', [accepting, { scopes: ['a'] }]],
    ['one error class', [accepting, { errors: { InvalidTokenError } }]],
    ['a resource with a fragment', [accepting, { resource: `${RESOURCE}#a` }]],
    ['a cycle', [accepting, { scopeHierarchy: { a: ['b'], b: ['a'] } }]],
  ])('may not be given %s', (_, given) => {
    expect(() => {
      Reflect.apply(mcpTokenVerifier, undefined, given);
    }).toThrow(ConfigurationError);
  });
});
