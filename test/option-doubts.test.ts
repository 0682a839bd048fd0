import { describe, expect, it } from '@jest/globals';
import {
  bearer,
  introspectionBearer,
  introspectionVerifier,
  jwtBearer,
  type JwtBearerOptions,
  jwtVerifier,
  protectedResourceMetadata,
  requireAuthentication,
  requireClaim,
  requireClient,
  requireIssuer,
  requireScopes,
} from '../lib/index.js';
import { mcpResource, mcpToolScopes } from '../lib/mcp/index.js';
import { recordWarnings } from './support/warnings.js';

const GOOD = { issuer: 'https://auth.example.com', audience: 'https://api.example.com', keys: { prefetch: false } };
const SECRET = 'n0-placeholder-but-a-secret-of-the-client';
const INTROSPECTION = { ...GOOD, clientId: 'orders', clientSecret: SECRET };
const jwksUri = 'https://keys.example.com/jwks';

function warningsOf(create: () => unknown): string[] {
  const warnings = recordWarnings();
  create();
  return warnings.map(({ code, message }) => `${code} ${message}`);
}

/** JavaScript has no types that reject further arguments. */
function callWith(called: (...args: never[]) => unknown, ...args: unknown[]): unknown {
  return called(...(args as never[]));
}

const jwt = (options: Partial<JwtBearerOptions>) => (): unknown => jwtBearer({ ...GOOD, ...options });
const introspection = (options: object) => (): unknown => introspectionBearer({ ...INTROSPECTION, ...options });

describe('a value that is valid and probably a mistake causes one warning', () => {
  it.each<[string, () => unknown, RegExp]>([
    ['YOUR_DOMAIN', jwt({ issuer: 'https://YOUR_DOMAIN/' }), /jwtBearer: issuer: .*YOUR_DOMAIN.* placeholder/],
    ['your-tenant', jwt({ issuer: 'https://your-tenant.auth0.com/' }), /placeholder/],
    ['a word of the README', jwt({ issuer: 'https://cognito-idp.REGION.amazonaws.com/POOL_ID' }), /placeholder/],
    ['a variable of a shell', jwt({ issuer: 'https://$DOMAIN/' }), /placeholder/],
    ['a placeholder as the jwksUri', jwt({ jwksUri: 'https://YOUR_HOST/jwks' }), /jwtBearer: jwksUri: .*placeholder/],
    ['a placeholder as the baseUrl', jwt({ baseUrl: 'https://YOUR_API' }), /baseUrl: .*placeholder/],
    ['<audience>', jwt({ audience: 'api://<client-id>' }), /audience: .*placeholder/],
    ['${AUDIENCE}', jwt({ audience: '${AUDIENCE}' }), /placeholder/],
    ['zeros', jwt({ audience: '00000000-0000-0000-0000-000000000000' }), /placeholder/],
    ['audiences with a space', jwt({ audience: 'a b' }), /several values in one text\. Pass an array/],
    ['audiences with a comma', jwt({ audience: ['c', 'api://a, api://b'] }), /several values in one text/],
    ['the text of an array', jwt({ audience: '["a","b"]' }), /text of an array/],
    ['a pattern', jwt({ audience: 'https://*.example.com' }), /\* matches only itself/],
    ['an audience from a missing setting', jwt({ audience: 'https://undefined/' }), /setting .* missing/],
    ['an issuer that is a host', jwt({ issuer: 'auth.example.com', jwksUri }), /https:\/\/auth\.example\.com\?/],
    ['an issuer with a comma', jwt({ issuer: 'https://auth.example.com,' }), /separator/],
    ['names of claims in one text', jwt({ requiredClaims: ['sub,jti'] }), /several values/],
    ['the path of a claim', jwt({ scopeClaims: ['realm_access.roles'] }), /not a path/],
    ['scopes in one text', jwt({ challengeScopes: ['files:read,files:write'] }), /"files:read,files:write" looks/],
    ['scopes of a hierarchy', jwt({ scopeHierarchy: { a: ['b;c'] } }), /"b;c" looks/],
    ['milliseconds', jwt({ maxTokenAge: 3_600_000 }), /Did you mean 3600\?/],
    ['milliseconds of a cooldown', jwt({ keys: { prefetch: false, cooldown: 3_000 } }), /Did you mean 3\?/],
    ['milliseconds of step-up', () => requireAuthentication({ maxAge: 300_000 }), /Did you mean 300\?/],
    ['a secret of HS256 in quotes', jwt({ secret: `"${SECRET}"` }), /secret: got a string of .* quotes/],
    ['a secret of HS256 from a file', jwt({ secret: `${SECRET}\n` }), /secret: got a string of .* white space/],
    ['a secret in quotes', introspection({ clientSecret: `"${SECRET}"` }), /clientSecret: got a string of .* quotes/],
    ['a secret in other quotes', introspection({ clientSecret: `'${SECRET}'` }), /quotes/],
    ['a secret with a space', introspection({ clientSecret: ` ${SECRET}` }), /white space/],
    ['a secret with an invisible character', introspection({ clientSecret: `\ufeff${SECRET}` }), /white space/],
    ['a line of a file', introspection({ clientSecret: `CLIENT_SECRET=${SECRET}` }), /\.env file/],
    ['a placeholder as a secret', introspection({ clientSecret: 'YOUR_CLIENT_SECRET' }), /placeholder/],
    ['a variable as a secret', introspection({ clientSecret: '${CLIENT_SECRET}' }), /placeholder/],
    ['a placeholder as a client id', introspection({ clientId: 'YOUR_CLIENT_ID' }), /clientId: .*placeholder/],
    ['clients in one text', () => requireClient('billing,archive'), /requireClient: .*several values/],
    ['clients with a space', () => requireClient('billing archive'), /several values/],
    ['clients of an issuer', () => requireClient({ issuer: GOOD.issuer, clientId: 'a, b' }), /several values/],
    ['the host of an issuer', () => requireIssuer('bare.host'), /requireIssuer: .*https:\/\/bare\.host\?/],
    ['a placeholder of a gate', () => requireIssuer('https://YOUR_DOMAIN/'), /placeholder/],
    ['scopes with a semicolon', () => requireScopes('orders:read;orders:write'), /several scopes/],
    ['a scope with a comma at the end', () => requireScopes('orders:read,'), /separator/],
    ['values of a claim in one text', () => requireClaim('roles', 'admin,editor'), /Pass an array of values/],
    ['a value from a missing setting', () => requireClaim('org', 'undefined'), /setting is missing/],
    ['a claim with a space', () => requireClaim('org ', 'a'), /white space/],
    ['scopes of a tool', () => mcpToolScopes({ write: ['a,b'] }), /"a,b" looks/],
    ['a resource', () => mcpResource({ ...GOOD, resource: 'https://YOUR_HOST/mcp' }), /mcpResource: resource: /],
    [
      'an authorization server',
      () => protectedResourceMetadata({ resource: GOOD.audience, authorizationServers: ['https://YOUR_DOMAIN'] }),
      /authorizationServers: .*placeholder/,
    ],
  ])('%s', (_, create, text) => {
    const warnings = warningsOf(create);
    expect(warnings).toEqual([expect.stringMatching(text)]);
    expect(warnings[0]).toMatch(/^ERS_SUSPICIOUS_OPTION .* If the value is right, ignore this warning\.$/);
    expect(warnings[0]).not.toContain(SECRET);
  });

  it('although the middleware is created several times', () => {
    const create = jwt({ audience: 'one two' });
    expect(warningsOf(() => [create(), create(), create()])).toHaveLength(1);
  });
});

describe('a usual value causes no warning', () => {
  it.each<[string, () => unknown]>([
    ['a URL', jwt({})],
    ['a path', jwt({ issuer: 'https://login.microsoftonline.com/4f2f1b3a-8a4e-4f5c-9d1e-0b6a7c8d9e0f/v2.0' })],
    ['a realm', jwt({ issuer: 'https://sso.example.com/realms/PROD' })],
    ['a pool', jwt({ issuer: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI' })],
    ['a host of Hetzner', jwt({ issuer: 'https://static.1.2.3.4.clients.your-server.de' })],
    ['a name that is not a URL', jwt({ issuer: 'login-service', secret: SECRET })],
    ['audiences', jwt({ audience: ['api://default', 'urn:orders:api', 'api://4f2f1b3a', 'my-api', 'account'] })],
    ['durations', jwt({ maxTokenAge: 36_000, clockTolerance: 300, keys: { prefetch: false, cooldown: 3_600 } })],
    ['a day', () => requireAuthentication({ maxAge: 864_000 })],
    [
      'claims with dots',
      () => [requireClaim('https://example.com/roles', 'a'), requireClaim('kubernetes.io', () => true)],
    ],
    ['values with commas and spaces', () => requireClaim('name', ['Doe, John', 'auth0|123'])],
    ['clients', () => requireClient('billing', '4f2f1b3a-8a4e', 'https://client.example.com/id.json', 'a@b.c')],
    ['scopes', () => requireScopes('orders:read', 'https://www.googleapis.com/auth/drive', 'orders:*', 'api://a/b.c')],
    [
      'secrets',
      () =>
        ['a$BC{d}%EF%g<h>i', 'YWJj==', 'p4ss word', 'it"s'].map((clientSecret) => introspection({ clientSecret })()),
    ],
  ])('%s', (_, create) => {
    expect(warningsOf(create)).toEqual([]);
  });
});

describe('an argument that would be ignored causes a ConfigurationError', () => {
  const verifier = jwtVerifier(GOOD);

  it.each<[string, () => unknown, RegExp]>([
    ['further options of jwtBearer', () => jwtBearer(GOOD, { dpop: 'required' } as never), /in a further argument/],
    ['further options of introspectionBearer', () => introspectionBearer(INTROSPECTION, {} as never), /further/],
    ['further options of bearer', () => callWith(bearer, verifier, {}, { optional: true }), /further/],
    ['further options of jwtVerifier', () => callWith(jwtVerifier, GOOD, { audience: 'b' }), /further/],
    ['further options of introspectionVerifier', () => callWith(introspectionVerifier, INTROSPECTION, {}), /further/],
    [
      'further options of mcpResource',
      () => mcpResource({ ...GOOD, resource: 'https://a.b/c' }, {} as never),
      /further/,
    ],
    ['a further value', () => callWith(requireClaim, 'roles', 'a', 'b'), /as an array/],
    ['options that are a promise', () => jwtBearer(Promise.resolve(GOOD) as never), /Await it/],
    ['a public key as the secret', jwt({ secret: `-----BEGIN PUBLIC KEY-----\n${SECRET}` }), /Pass it as publicKey/],
    ['a list of issuers', jwt({ issuer: 'https://a.b,https://c.d', jwksUri }), /Pass one URL/],
    ['an issuer with two schemes', jwt({ issuer: 'https://https://a.b' }), /scheme once/],
    ['the address of metadata in a gate', () => requireIssuer('https://a.b/.well-known/x'), /without \/\.well-known/],
    ['keys as a text', jwt({ jwks: `{"keys":[{"kty":"oct","k":"${SECRET}"}]}` as never }), /JSON\.parse/],
  ])('%s', (_, create, text) => {
    expect(create).toThrow(text);
    expect(create).not.toThrow(new RegExp(SECRET));
  });

  it('but the index and the list of map do not', () => {
    expect([GOOD].map(jwtVerifier)).toHaveLength(1);
  });
});
