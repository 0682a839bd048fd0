import { describe, expect, it } from '@jest/globals';
import {
  bearer,
  getAuth,
  introspectionBearer,
  InvalidTokenError,
  type InvalidTokenReason,
  requireScopes,
  UpstreamError,
} from '../../lib/index.js';
import {
  expectInvalidToken,
  expectUnavailable,
  get,
  handled,
  listen,
  serve,
  startIssuer,
  verifyAsync,
} from '../support/helpers.js';
import { apiFor, optionsFor, SECRET, verifierFor } from '../support/introspection.js';

describe('an API for opaque tokens', () => {
  it('accepts an active token and tells the handler which client calls', async () => {
    const issuer = await startIssuer();
    const response = await get(apiFor(issuer), issuer.issueOpaque({ scope: 'orders:read orders:write' }));
    expect(response.status).toBe(200);
    expect(response.body).toEqual({
      clientId: 'client-1',
      subject: 'client-1',
      scopes: ['orders:read', 'orders:write'],
      isMachine: true,
    });
  });

  it('rejects a token that the server does not know', async () => {
    await expectInvalidToken(apiFor(await startIssuer()), 'never-issued', 'inactive');
  });

  it('rejects a token that was revoked', async () => {
    const issuer = await startIssuer();
    const token = issuer.issueOpaque();
    issuer.revoke(token);
    await expectInvalidToken(apiFor(issuer), token, 'inactive');
  });

  it('has gates that work as they do with JWTs', async () => {
    const issuer = await startIssuer();
    const app = serve(introspectionBearer(optionsFor(issuer)), requireScopes('orders:read'));
    expect((await get(app, issuer.issueOpaque({ scope: 'orders:read' }))).status).toBe(200);
    expect((await get(app, issuer.issueOpaque({ scope: 'orders:write' }))).status).toBe(403);
  });

  it('introspects JWTs too and follows the response', async () => {
    const issuer = await startIssuer();
    const app = apiFor(issuer);
    const [good, revoked] = [await issuer.issue(), await issuer.issue()];
    issuer.issueOpaque({ client_id: 'client-2' }, good);
    expect((await get(app, good)).body).toMatchObject({ clientId: 'client-2' });
    await expectInvalidToken(app, revoked, 'inactive');
  });

  it('accepts the options of bearer together with those of its verifier', async () => {
    const issuer = await startIssuer();
    const app = serve(introspectionBearer({ ...optionsFor(issuer), property: 'caller' }), (req, _res, next) => {
      expect(req).toHaveProperty('caller', getAuth(req));
      expect(req).not.toHaveProperty('auth');
      next();
    });
    expect((await get(app, issuer.issueOpaque())).status).toBe(200);
  });

  it('rejects a token that is bound to a key if the request does not prove that key', async () => {
    const issuer = await startIssuer();
    const app = apiFor(issuer);
    for (const cnf of [{ jkt: 'thumbprint' }, { 'x5t#S256': 'thumbprint' }]) {
      const token = issuer.issueOpaque({ cnf });
      await expectInvalidToken(app, token, 'binding_unproven');
      // The result is cached by now, and the token is still rejected.
      await expectInvalidToken(app, token, 'binding_unproven');
    }
  });

  it('rejects a token that is too large without introspecting it', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    await expect(verifier.verify('x'.repeat(16_385))).rejects.toMatchObject({ status: 401, reason: 'too_large' });
    expect(issuer.requests.introspection).toBe(0);
    await expect(verifier.verify('x'.repeat(16_384))).rejects.toMatchObject({ reason: 'inactive' });
  });

  it.each([undefined, null, '', 5, {}, ['token']])(
    'rejects a value that is not a token without introspecting it: %p',
    async (token) => {
      const issuer = await startIssuer();
      const verifying = verifierFor(issuer).verify(token as string);
      await expect(verifying).rejects.toMatchObject({ reason: 'malformed' });
      expect(issuer.requests.introspection).toBe(0);
    },
  );
});

describe('the introspection request', () => {
  it('is a POST of the token and its type hint to the endpoint in the metadata', async () => {
    const issuer = await startIssuer();
    const token = issuer.issueOpaque();
    expect((await get(apiFor(issuer), token)).status).toBe(200);
    expect(issuer.introspection.seen).toHaveLength(1);
    expect(issuer.introspection.seen[0]).toMatchObject({
      method: 'POST',
      form: { token, token_type_hint: 'access_token' },
      headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(issuer.requests.metadata).toBe(1);
  });

  it('goes to introspectionEndpoint without discovery if that option is set', async () => {
    const issuer = await startIssuer();
    const introspectionEndpoint = `${issuer.introspectionEndpoint}/elsewhere`;
    const verifier = verifierFor(issuer, { introspectionEndpoint });
    await verifier.ready();
    await expect(verifier.verify(issuer.issueOpaque())).resolves.toMatchObject({ issuer: issuer.url });
    expect(issuer.requests).toMatchObject({ metadata: 0, jwks: 0, introspection: 1 });
    expect(verifier.health()).toEqual({});
  });

  it('needs no issuer if the endpoint is configured', async () => {
    const issuer = await startIssuer();
    const { introspectionEndpoint, audience } = issuer;
    const verifier = verifierFor(issuer, { introspectionEndpoint, audience, issuer: undefined });
    expect(verifier.issuer).toBeUndefined();
    // A response must not select an issuer that another verifier trusts.
    for (const iss of [issuer.url, 'https://trusted.example.com', undefined, null]) {
      const token = issuer.issueOpaque({ iss, sub: 'ceo' });
      await expect(verifier.verify(token)).resolves.toMatchObject({ issuer: introspectionEndpoint });
    }
  });

  it('never follows a redirect', async () => {
    const issuer = await startIssuer();
    let visits = 0;
    const port = await listen((_req, res) => {
      visits++;
      res.setHeader('Content-Type', 'application/json').end('{"active":true}');
    });
    for (const status of [301, 302, 303, 307, 308]) {
      issuer.fail('introspection', (res) => {
        res.writeHead(status, { Location: `http://127.0.0.1:${port}/` }).end();
      });
      await expectUnavailable(apiFor(issuer), issuer.issueOpaque(), 'introspection_unavailable');
    }
    expect(visits).toBe(0);
  });

  it.each([
    ['no introspection_endpoint', undefined],
    ['an introspection_endpoint that is not a URL', 'introspect'],
    ['an introspection_endpoint that is an object', { url: 'https://as.example.com' }],
    ['an http: introspection_endpoint outside loopback', 'http://as.example.com/introspect'],
    ['an introspection_endpoint that contains a password', 'https://user:password@as.example.com/introspect'],
    ['a file URL as introspection_endpoint', 'file:///etc/passwd'],
  ])('is not sent if the metadata has %s', async (_, endpoint) => {
    const issuer = await startIssuer();
    issuer.metadata.introspection_endpoint = endpoint;
    await expectUnavailable(apiFor(issuer), issuer.issueOpaque(), 'introspection_unavailable');
    expect(issuer.requests.introspection).toBe(0);
  });

  it('is reported as impossible by ready if the metadata names no endpoint', async () => {
    const issuer = await startIssuer();
    issuer.metadata.introspection_endpoint = undefined;
    await expect(verifierFor(issuer).ready()).rejects.toBeInstanceOf(UpstreamError);
  });

  it('waits for the metadata, which ready loads in advance', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    await verifier.ready();
    expect(issuer.requests).toMatchObject({ metadata: 1, jwks: 0, introspection: 0 });
    expect(verifier.health()).toEqual({ metadata: expect.objectContaining({ state: 'fresh' }) });
    await verifier.verify(issuer.issueOpaque());
    expect(issuer.requests).toMatchObject({ metadata: 1, jwks: 0, introspection: 1 });
    await verifier.close();
  });

  it('is not sent if there is no metadata', async () => {
    const issuer = await startIssuer();
    issuer.fail('metadata', 'error');
    await expectUnavailable(apiFor(issuer), issuer.issueOpaque(), 'metadata_unavailable');
  });
});

describe('the introspection response', () => {
  it('is read without its null members', async () => {
    const issuer = await startIssuer();
    const absent = { exp: null, nbf: null, iat: null, iss: null, sub: null, scope: null, cnf: null, username: null };
    const token = issuer.issueOpaque(absent);
    await expect(verifierFor(issuer).verify(token)).resolves.toMatchObject({
      issuer: issuer.url,
      subject: undefined,
      expiresAt: undefined,
      issuedAt: undefined,
      scopes: [],
      isMachine: false,
      isUser: false,
    });
  });

  it('must have the required claims', async () => {
    const issuer = await startIssuer();
    const api = apiFor(issuer, { audience: false, requiredClaims: ['tenant', 'client_id'] });
    expect((await get(api, issuer.issueOpaque({ aud: undefined, tenant: '' }))).status).toBe(200);
    for (const claims of [{}, { tenant: null }, { tenant: 't', client_id: undefined }]) {
      await expectInvalidToken(api, issuer.issueOpaque(claims), 'claim_missing');
    }
  });

  it.each<[string, Record<string, unknown>, InvalidTokenReason]>([
    ['active is false', { active: false }, 'inactive'],
    [
      'active is false and other members say otherwise',
      { active: false, scope: 'admin', exp: 9_999_999_999 },
      'inactive',
    ],
    ['it has expired', { exp: 1_000 }, 'expired'],
    ['it is not valid yet', { nbf: 9_999_999_999 }, 'not_yet_valid'],
    ['it was issued in the future', { iat: 9_999_999_999 }, 'issued_in_future'],
    ['exp is a string', { exp: '9999999999' }, 'claim_malformed'],
    ['nbf is a string', { nbf: 'now' }, 'claim_malformed'],
    ['iat is an object', { iat: {} }, 'claim_malformed'],
    ['it names another issuer', { iss: 'https://elsewhere.example.com' }, 'issuer_mismatch'],
    ['it names an issuer that differs by a port', { iss: 'http://127.0.0.1' }, 'issuer_mismatch'],
    ['the issuer is an array', { iss: ['https://elsewhere.example.com'] }, 'issuer_mismatch'],
    ['it is for another audience', { aud: 'https://other.example.com' }, 'audience_mismatch'],
    ['it is for other audiences', { aud: ['a', 'b'] }, 'audience_mismatch'],
    ['it names no audience', { aud: undefined }, 'audience_missing'],
    ['the audience is an object', { aud: { 'https://api.example.com': true } }, 'audience_mismatch'],
    ['sub is a number', { sub: 1 }, 'claim_malformed'],
    ['client_id is a number', { client_id: 1 }, 'claim_malformed'],
    ['jti is an object', { jti: {} }, 'claim_malformed'],
    ['cnf is a string', { cnf: 'jkt' }, 'claim_malformed'],
  ])('causes a rejection of the token if %s', async (_, claims, reason) => {
    const issuer = await startIssuer();
    await expectInvalidToken(apiFor(issuer), issuer.issueOpaque(claims), reason);
    expect(issuer.requests.introspection).toBe(1);
  });

  it.each<[string, unknown]>([
    ['active is "true"', { active: 'true' }],
    ['active is 1', { active: 1 }],
    ['active is null', { active: null }],
    ['active is an object', { active: {} }],
    ['active is missing', { sub: 'client-1', scope: 'admin' }],
    ['active is only inherited', JSON.parse('{"__proto__":{"active":true}}')],
    ['the member is called Active', { Active: true }],
    ['it is an empty object', {}],
    ['it is an array', [{ active: true }]],
    ['it is a string', 'active'],
    ['it is true', true],
    ['it is null', null],
  ])('is an upstream failure and not a rejection of the token if %s', async (_, response) => {
    const issuer = await startIssuer();
    const app = apiFor(issuer);
    const token = issuer.issueOpaque();
    issuer.introspection.rewrite = () => response;
    await expectUnavailable(app, token, 'introspection_unavailable');
    issuer.introspection.rewrite = undefined;
    expect((await get(app, token)).status).toBe(200);
  });

  it.each([
    ['the audience of this API and another one', { aud: ['x', 'https://api.example.com'] }],
    ['no issuer', { iss: undefined }],
    ['no times', { exp: undefined, iat: undefined }],
    ['a clock that is 4 seconds ahead', { iat: Math.floor(Date.now() / 1000) + 4 }],
    ['an empty cnf', { cnf: {} }],
  ])('allows the token with %s', async (_, claims) => {
    const issuer = await startIssuer();
    expect((await get(apiFor(issuer), issuer.issueOpaque(claims))).status).toBe(200);
  });

  it('may have no audience with audience: false', async () => {
    const issuer = await startIssuer();
    const app = apiFor(issuer, { audience: false });
    expect((await get(app, issuer.issueOpaque({ aud: undefined }))).status).toBe(200);
    expect((await get(app, issuer.issueOpaque({ aud: 'https://other.example.com' }))).status).toBe(200);
  });

  it('has its client and scopes read as those of a JWT are', async () => {
    const issuer = await startIssuer();
    const claims = { client_id: undefined, azp: 'client-2', sub: 'user-1', scope: 'a b', scp: ['b', 'c'] };
    expect((await get(apiFor(issuer), issuer.issueOpaque(claims))).body).toEqual({
      clientId: 'client-2',
      subject: 'user-1',
      scopes: ['a', 'b', 'c'],
      isMachine: false,
    });
    const app = apiFor(issuer, { clientIdClaims: ['tenant_client'], scopeClaims: ['permissions'] });
    const mapped = issuer.issueOpaque({ tenant_client: 'client-3', permissions: ['d'], scope: 'a' });
    expect((await get(app, mapped)).body).toMatchObject({ clientId: 'client-3', scopes: ['d'] });
  });

  it('describes a user if it has a username, even without a subject', async () => {
    const issuer = await startIssuer();
    const token = issuer.issueOpaque({ sub: undefined, username: 'jo' });
    expect((await get(apiFor(issuer), token)).body).toMatchObject({ isMachine: false });
  });

  it('reaches the handler complete, as immutable claims', async () => {
    const issuer = await startIssuer();
    const extra = { tenant: { id: 7, roles: ['owner'] }, 'https://example.com/größe': 9_007_199_254_740_991 };
    const accessToken = await verifierFor(issuer).verify(issuer.issueOpaque(extra));
    expect(accessToken).toMatchObject({ format: 'opaque', header: undefined, audience: [issuer.audience] });
    expect(accessToken.claims).toMatchObject({ active: true, ...extra });
    const open: unknown[] = [accessToken];
    for (const value of open) {
      if (typeof value !== 'object' || value === null) continue;
      expect(Object.isFrozen(value)).toBe(true);
      open.push(...(Object.values(value) as unknown[]));
    }
  });

  it('does not change other objects through a claim called __proto__', async () => {
    const issuer = await startIssuer();
    issuer.introspection.rewrite = (response) =>
      JSON.parse(`${JSON.stringify(response).slice(0, -1)},"__proto__":{"scope":"admin"}}`);
    const accessToken = await verifierFor(issuer).verify(issuer.issueOpaque());
    expect(accessToken.scopes).toEqual([]);
    expect(({} as Record<string, unknown>).scope).toBeUndefined();
  });

  it('is rejected if it is the response for another token', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    const [one, two] = [issuer.issueOpaque({ sub: 'one' }), issuer.issueOpaque({ sub: 'two' })];
    const subjects = await Promise.all(
      [one, two, one, two].map(async (token) => (await verifier.verify(token)).subject),
    );
    expect(subjects).toEqual(['one', 'two', 'one', 'two']);
  });

  it('is returned without the token, and so is a rejection', async () => {
    const issuer = await startIssuer();
    const verifier = verifierFor(issuer);
    const token = issuer.issueOpaque();
    expect(JSON.stringify(await verifier.verify(token))).not.toContain(token);
    issuer.introspection.failFor('some-other-token', 'error');
    const error: unknown = await verifyAsync(verifier, 'some-other-token').catch((each: unknown) => each);
    expect(error).toBeInstanceOf(UpstreamError);
    expect(`${String(error)}${JSON.stringify(error)}${String((error as Error).cause)}`).not.toContain('some-other');
    expect(`${String(error)}${JSON.stringify(error)}`).not.toContain(SECRET);
  });
});

describe('the verifier', () => {
  it('works with bearer', async () => {
    const issuer = await startIssuer();
    const app = serve(bearer(verifierFor(issuer), { realm: 'orders' }));
    expect((await get(app, issuer.issueOpaque())).status).toBe(200);
    const response = await get(app, 'unknown');
    expect(response.headers['www-authenticate']).toContain('realm="orders"');
    expect(handled(app)).toBe(1);
  });

  it('returns the details of a failure as the cause of the error', async () => {
    const issuer = await startIssuer();
    const token = issuer.issueOpaque({ aud: 'https://other.example.com' });
    const error: unknown = await verifyAsync(verifierFor(issuer), token).catch((each: unknown) => each);
    expect(error).toBeInstanceOf(InvalidTokenError);
    expect((error as Error).cause).toEqual({
      checked: 'aud',
      expected: [issuer.audience],
      found: 'https://other.example.com',
    });
  });
});
