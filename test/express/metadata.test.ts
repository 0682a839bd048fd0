import { describe, expect, it } from '@jest/globals';
import express5 from 'express';
import express4 from 'express4';
import { createLocalJWKSet, exportJWK, jwtVerify } from 'jose';
import supertest from 'supertest';
import {
  bearer,
  ConfigurationError,
  introspectionBearer,
  jwtBearer,
  jwtVerifier,
  protectedResourceMetadata,
  type ProtectedResourceMetadataOptions,
  trustedIssuers,
} from '../../lib/index.js';
import { makeSigningKey } from '../../lib/testing/issuer.js';

const issuer = 'https://auth.example.com';
const audience = 'https://api.example.com';
const WELL_KNOWN = '/.well-known/oauth-protected-resource';
const GOOD: ProtectedResourceMetadataOptions = { resource: audience, authorizationServers: [issuer] };

const VERSIONS = [
  { version: 4, express: express4 as unknown as typeof express5 },
  { version: 5, express: express5 },
];

function serve(...all: ProtectedResourceMetadataOptions[]): express5.Express {
  const app = express5();
  for (const options of all) app.use(protectedResourceMetadata(options));
  app.use(jwtBearer({ issuer, audience }));
  return app;
}

async function documentOf(options: ProtectedResourceMetadataOptions): Promise<Record<string, unknown>> {
  const { url } = protectedResourceMetadata(options);
  const response = await supertest(serve(options)).get(url.slice(new URL(url).origin.length));
  expect(response.status).toBe(200);
  return response.body as Record<string, unknown>;
}

function mistake(options: Record<string, unknown>): ConfigurationError {
  try {
    protectedResourceMetadata({ ...GOOD, ...options });
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('no mistake was found');
}

describe('the metadata URL', () => {
  it.each([
    ['https://api.example.com', `https://api.example.com${WELL_KNOWN}`, 'https://api.example.com'],
    ['https://api.example.com/', `https://api.example.com${WELL_KNOWN}`, 'https://api.example.com/'],
    [new URL('https://api.example.com'), `https://api.example.com${WELL_KNOWN}`, 'https://api.example.com'],
    ['https://api.example.com/mcp', `https://api.example.com${WELL_KNOWN}/mcp`, 'https://api.example.com/mcp'],
    ['https://api.example.com/mcp/', `https://api.example.com${WELL_KNOWN}/mcp/`, 'https://api.example.com/mcp/'],
    [
      new URL('https://a.example.com/b/?c=d'),
      `https://a.example.com${WELL_KNOWN}/b/?c=d`,
      'https://a.example.com/b/?c=d',
    ],
    ['https://a.example.com/?c=d', `https://a.example.com${WELL_KNOWN}?c=d`, 'https://a.example.com/?c=d'],
    ['https://api.example.com:8443/x', `https://api.example.com:8443${WELL_KNOWN}/x`, 'https://api.example.com:8443/x'],
    ['http://localhost:3000/mcp', `http://localhost:3000${WELL_KNOWN}/mcp`, 'http://localhost:3000/mcp'],
    ['http://127.0.0.1:3000', `http://127.0.0.1:3000${WELL_KNOWN}`, 'http://127.0.0.1:3000'],
  ])('of %s has the well-known part between host and path', async (resource, url, written) => {
    expect(protectedResourceMetadata({ ...GOOD, resource }).url).toBe(url);
    expect(await documentOf({ ...GOOD, resource })).toMatchObject({ resource: written });
  });

  it('belongs to one resource: several are served side by side, and no other URL is', async () => {
    const app = serve(
      { ...GOOD, resource: 'https://api.example.com' },
      { ...GOOD, resource: 'https://api.example.com/a' },
      { ...GOOD, resource: 'https://api.example.com/a/b' },
    );
    const paths = ['', '/a', '/a/b', '/a?x=1', '/a/', '/A', '/a%2Fb', '/c', '/a/b/c', 's'];
    const responses = await Promise.all(paths.map((path) => supertest(app).get(`${WELL_KNOWN}${path}`)));
    expect(responses.map(({ body }) => (body as { resource?: string }).resource?.slice(audience.length))).toEqual([
      ...['', '/a', '/a/b', '/a'],
      ...[undefined, undefined, undefined, undefined, undefined, undefined],
    ]);
    expect(responses.slice(4).every(({ status }) => status === 401)).toBe(true);
  });

  it('has a query only if the resource has one', async () => {
    const app = serve({ ...GOOD, resource: 'https://api.example.com/a?b=c' });
    const statuses = ['/a?b=c', '/a', '/a?b=d', '/a?b=c&d=e'].map(async (path) => {
      return (await supertest(app).get(`${WELL_KNOWN}${path}`)).status;
    });
    expect(await Promise.all(statuses)).toEqual([200, 401, 401, 401]);
  });
});

describe.each(VERSIONS)('the response with Express $version', ({ express }) => {
  const app = express();
  app.use('/.well-known', protectedResourceMetadata(GOOD));
  app.use(protectedResourceMetadata({ ...GOOD, resource: `${audience}/mcp`, maxAge: 0 }));

  it('is JSON that every origin may read and caches may store', async () => {
    const response = await supertest(app).get(WELL_KNOWN).set('Origin', 'https://app.example.org');
    expect(response.status).toBe(200);
    expect(response.body).toEqual({
      resource: audience,
      authorization_servers: [issuer],
      bearer_methods_supported: ['header'],
    });
    expect(response.headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'public, max-age=3600',
      'access-control-allow-origin': '*',
    });
    expect(response.headers).not.toHaveProperty('www-authenticate');
    const again = await supertest(app)
      .get(WELL_KNOWN)
      .set('If-None-Match', `"x", W/${response.headers.etag ?? ''}`);
    expect([again.status, again.text]).toEqual([304, '']);
    const fresh = await supertest(app).get(`${WELL_KNOWN}/mcp`);
    expect([fresh.status, fresh.headers['cache-control']]).toEqual([200, 'no-cache']);
  });

  it('to HEAD has no body, and to OPTIONS allows every script', async () => {
    const [get, head] = [await supertest(app).get(WELL_KNOWN), await supertest(app).head(WELL_KNOWN)];
    expect([head.status, head.headers['content-length'], head.headers.etag]).toEqual([
      200,
      get.headers['content-length'],
      get.headers.etag,
    ]);
    const preflight = await supertest(app).options(WELL_KNOWN).set('Access-Control-Request-Headers', 'mcp-session-id');
    expect(preflight.status).toBe(204);
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, HEAD, OPTIONS',
      'access-control-allow-headers': '*, Authorization',
    });
  });

  it.each(['post', 'put', 'delete', 'patch'] as const)('to %s is 405', async (method) => {
    const response = await supertest(app)[method](WELL_KNOWN);
    expect([response.status, response.headers.allow]).toEqual([405, 'GET, HEAD, OPTIONS']);
  });
});

describe('the document', () => {
  it('has every member of RFC 9728', async () => {
    const document = await documentOf({
      ...GOOD,
      authorizationServers: ['https://auth.example.com/', 'https://other.example.com/tenant'],
      scopesSupported: ['files:read', 'files:write'],
      bearerMethodsSupported: ['header', 'body'],
      jwksUri: 'https://api.example.com/keys',
      resourceSigningAlgValuesSupported: ['ES256'],
      resourceName: 'Files',
      resourceDocumentation: 'https://api.example.com/docs',
      resourcePolicyUri: 'https://api.example.com/policy',
      resourceTosUri: 'https://api.example.com/terms',
      tlsClientCertificateBoundAccessTokens: false,
      authorizationDetailsTypesSupported: ['payment'],
      dpopSigningAlgValuesSupported: ['ES256'],
      dpopBoundAccessTokensRequired: false,
    });
    expect(document).toEqual({
      resource: audience,
      authorization_servers: ['https://auth.example.com/', 'https://other.example.com/tenant'],
      scopes_supported: ['files:read', 'files:write'],
      bearer_methods_supported: ['header', 'body'],
      jwks_uri: 'https://api.example.com/keys',
      resource_signing_alg_values_supported: ['ES256'],
      resource_name: 'Files',
      resource_documentation: 'https://api.example.com/docs',
      resource_policy_uri: 'https://api.example.com/policy',
      resource_tos_uri: 'https://api.example.com/terms',
      tls_client_certificate_bound_access_tokens: false,
      authorization_details_types_supported: ['payment'],
      dpop_signing_alg_values_supported: ['ES256'],
      dpop_bound_access_tokens_required: false,
    });
  });

  it('contains what the bearer middleware accepts', async () => {
    const jwt = jwtBearer({
      issuer: 'https://auth.example.com/',
      audience,
      dpop: { mode: 'required', algorithms: ['ES256', 'EdDSA', 'Ed25519'] },
      mtls: 'allowed',
    });
    expect(await documentOf({ resource: audience, bearer: jwt })).toEqual({
      resource: audience,
      authorization_servers: ['https://auth.example.com/'],
      bearer_methods_supported: ['header'],
      tls_client_certificate_bound_access_tokens: true,
      dpop_signing_alg_values_supported: ['ES256', 'Ed25519'],
      dpop_bound_access_tokens_required: true,
    });
  });

  it('combines several bearer middlewares, and its own options have priority', async () => {
    const opaque = introspectionBearer({ issuer, audience, clientId: 'a', clientSecret: 'b', dpop: 'required' });
    const several = bearer(
      trustedIssuers([
        jwtVerifier({ issuer: 'https://a.example.com', audience }),
        jwtVerifier({ issuer: 'https://b.example.com', audience }),
      ]),
    );
    const document = await documentOf({
      resource: audience,
      bearer: [opaque, several],
      dpopSigningAlgValuesSupported: ['ES256'],
    });
    expect(document).toEqual({
      resource: audience,
      authorization_servers: [issuer, 'https://a.example.com', 'https://b.example.com'],
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: ['ES256'],
    });
    expect(await documentOf({ ...GOOD, bearer: several })).toMatchObject({ authorization_servers: [issuer] });
  });

  it('can be signed', async () => {
    const { privateKey, publicJwk } = await makeSigningKey();
    const privateJwk = { ...(await exportJWK(privateKey)), kid: publicJwk.kid };
    const document = await documentOf({
      ...GOOD,
      resourceName: 'Files',
      signedMetadata: { issuer: audience, privateKey: privateJwk, algorithm: 'ES256' },
    });
    const { signed_metadata: jwt, ...members } = document;
    const { payload, protectedHeader } = await jwtVerify(String(jwt), createLocalJWKSet({ keys: [publicJwk] }));
    expect(payload).toEqual({ ...members, iss: audience, iat: expect.any(Number) as unknown });
    expect(protectedHeader).toEqual({ alg: 'ES256', kid: publicJwk.kid });
  });
});

describe('a ConfigurationError', () => {
  it.each([
    ['resource', undefined, 'expected an https: URL'],
    ['resource', 'https://api.example.com/#a', 'Remove the fragment'],
    ['resource', 'https://api.example.com#', 'Remove the fragment'],
    ['resource', new URL('https://api.example.com/#a'), 'Remove the fragment'],
    ['resource', 'http://api.example.com', 'Use https:'],
    ['resource', new URL('http://api.example.com'), 'Use https:'],
    ['resource', 'https://user@api.example.com', 'without user'],
    ['resource', 'api.example.com', 'Pass the URL'],
    ['resource', ' https://api.example.com', 'white space'],
    ['resource', '/mcp', 'Pass the URL'],
    ['authorizationServers', undefined, 'got neither authorizationServers nor bearer'],
    ['authorizationServers', [], 'expected an array of https: URLs'],
    ['authorizationServers', issuer, 'Pass an array.'],
    ['authorizationServers', [new URL(issuer)], 'Pass strings: a URL object adds a slash'],
    ['authorizationServers', ['http://auth.example.com'], 'expected an array of https: URLs'],
    ['authorizationServers', [`${issuer}?a=b`], 'without user, query and fragment'],
    ['scopesSupported', ['a', 'offline_access'], 'Remove offline_access'],
    ['scopesSupported', ['a b'], 'Pass one scope per item'],
    ['scopesSupported', 'a', 'Pass an array'],
    ['bearerMethodsSupported', ['cookie'], 'expected an array of "header", "body" and "query"'],
    ['bearer', () => undefined, 'expected a bearer middleware'],
    ['bearer', [], 'expected a bearer middleware'],
    ['jwksUri', 'http://api.example.com/keys', 'expected an https: URL'],
    ['resourceSigningAlgValuesSupported', ['none'], 'without "none"'],
    ['resourceDocumentation', 'docs', 'Pass the address of a page for developers.'],
    [
      'signedMetadata',
      { issuer, privateKey: 'x', algorithm: 'ES256' },
      'expected { issuer, privateKey, algorithm, keyId? }',
    ],
    ['maxAge', -1, 'expected a whole number of seconds from 0 to 31536000'],
  ])('names the option %s: %p', (name, value, text) => {
    const error = mistake({ [name]: value });
    expect(error.option).toBe(`protectedResourceMetadata: ${name}`);
    expect(error.message).toContain(text);
  });

  it('suggests the correct name of an option', () => {
    expect(mistake({ authorization_servers: [issuer] }).message).toContain('Did you mean authorizationServers?');
  });

  it('reports a bearer middleware without a known issuer, or with an issuer that is not a URL', () => {
    const own = bearer({ verify: () => Promise.reject(new Error()) });
    expect(mistake({ authorizationServers: undefined, bearer: own }).message).toContain(
      'got a bearer without a known issuer',
    );
    const local = jwtBearer({ issuer: 'local', audience, secret: 's'.repeat(32) });
    expect(mistake({ authorizationServers: undefined, bearer: local }).option).toBe(
      'protectedResourceMetadata: authorizationServers',
    );
  });

  it('never contains a private key', () => {
    const privateKey = { kty: 'EC', d: 'secret-value' };
    expect(mistake({ signedMetadata: { issuer, privateKey, algorithm: 'ES256' } }).message).not.toContain(
      'secret-value',
    );
  });
});
