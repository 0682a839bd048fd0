import { describe, expect, it } from '@jest/globals';
import { jwtBearer, jwtVerifier, type UpstreamReason } from '../../lib/index.js';
import type { Fault } from '../../lib/testing/faults.js';
import type { IssuerDocument, TestIssuerOptions } from '../../lib/testing/issuer.js';
import { expectInvalidToken, expectUnavailable, get, serve, serveFor, startIssuer } from '../support/helpers.js';

describe('the keys of an issuer', () => {
  it.each<TestIssuerOptions>([
    { wellKnown: 'openid-configuration' },
    { wellKnown: 'oauth-authorization-server' },
    { wellKnown: 'openid-configuration', path: '/tenant' },
    { wellKnown: 'oauth-authorization-server', path: '/tenant' },
    { wellKnown: 'openid-configuration', path: '/a/b%20c' },
    { wellKnown: 'oauth-authorization-server', path: '/a/b%20c' },
    { path: '/tenant' },
    {},
  ])('are found through its metadata: %p', async (options) => {
    const issuer = await startIssuer(options);
    const app = serveFor(issuer);
    expect((await get(app, await issuer.issue())).status).toBe(200);
    expect((await get(app, await issuer.issue())).status).toBe(200);
    expect(issuer.requests).toMatchObject({ metadata: 1, jwks: 1 });
  });

  it('are found for an issuer with a trailing slash, which its tokens must have', async () => {
    const issuer = await startIssuer();
    issuer.metadata.issuer = `${issuer.url}/`;
    const app = serveFor(issuer, { issuer: `${issuer.url}/` });
    expect((await get(app, await issuer.issue({ iss: `${issuer.url}/` }))).status).toBe(200);
    await expectInvalidToken(app, await issuer.issue(), 'issuer_mismatch');
  });

  it('are fetched from jwksUri without metadata', async () => {
    const issuer = await startIssuer();
    issuer.fail('metadata', 'error');
    const app = serveFor(issuer, { jwksUri: issuer.jwksUri });
    expect((await get(app, await issuer.issue())).status).toBe(200);
    expect(issuer.requests).toMatchObject({ metadata: 0, jwks: 1 });
  });

  it('are not fetched if they are configured', async () => {
    const issuer = await startIssuer();
    await issuer.goDown();
    const app = serveFor(issuer, { jwks: { keys: [issuer.key.publicJwk] } });
    expect((await get(app, await issuer.issue())).status).toBe(200);
    const stranger = await startIssuer();
    await expectInvalidToken(app, await issuer.issue({}, { key: stranger.key }), 'unknown_key');
  });

  it('are loaded after ready()', async () => {
    const issuer = await startIssuer();
    const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience });
    await verifier.ready();
    expect(issuer.requests).toMatchObject({ metadata: 1, jwks: 1 });
    await verifier.verify(await issuer.issue());
    expect(issuer.requests).toMatchObject({ metadata: 1, jwks: 1 });
    await verifier.close();
  });

  it.each([
    ['openid-configuration', 500],
    ['openid-configuration', 502],
    ['oauth-authorization-server', 503],
    ['oauth-authorization-server', 504],
  ])('are found at the other address if %s responds %i', async (failing, status) => {
    const issuer = await startIssuer();
    const app = serveFor(issuer, {
      fetch: (url, init) => {
        if (url.includes(failing)) return Promise.resolve(new Response('<h1>busy</h1>', { status }));
        return fetch(url, init);
      },
    });
    expect((await get(app, await issuer.issue())).status).toBe(200);
  });

  it('are found through metadata at metadataUrl, which must name exactly the issuer', async () => {
    const inside = await startIssuer();
    const issuer = 'https://auth.example.com/tenant';
    const metadataUrl = `${inside.url}/.well-known/openid-configuration`;
    inside.metadata.issuer = issuer;
    const token = await inside.issue({ iss: issuer });
    const app = serveFor(inside, { issuer, metadataUrl });
    expect((await get(app, token)).status).toBe(200);
    expect(inside.requests).toMatchObject({ metadata: 1, jwks: 1 });
    await expectInvalidToken(app, await inside.issue(), 'issuer_mismatch');

    inside.metadata.issuer = `${issuer}/`;
    await expectUnavailable(serveFor(inside, { issuer, metadataUrl }), token, 'metadata_unavailable');
  });

  it('are fetched with a custom fetch', async () => {
    const issuer = await startIssuer();
    const urls: string[] = [];
    const app = serveFor(issuer, {
      fetch: (url, init) => {
        urls.push(url);
        return fetch(url, init);
      },
    });
    expect((await get(app, await issuer.issue())).status).toBe(200);
    expect(urls).toEqual([`${issuer.url}/.well-known/openid-configuration`, issuer.jwksUri]);
  });
});

describe('metadata', () => {
  const MARKER = 'upstream-says-so';

  it.each<[string, Record<string, unknown>, UpstreamReason]>([
    ['names another issuer', { issuer: `https://${MARKER}.example.com` }, 'metadata_unavailable'],
    ['names an issuer with an additional slash', { issuer: 'SLASH' }, 'metadata_unavailable'],
    ['names no issuer', { issuer: undefined }, 'metadata_unavailable'],
    ['names an issuer in an array', { issuer: ['ISSUER'] }, 'metadata_unavailable'],
    ['has a jwks_uri that is not a URL', { jwks_uri: MARKER }, 'keys_unavailable'],
    ['has a jwks_uri that is a number', { jwks_uri: 1 }, 'keys_unavailable'],
    ['has a jwks_uri that is null', { jwks_uri: null }, 'keys_unavailable'],
    ['has an http: jwks_uri outside loopback', { jwks_uri: `http://${MARKER}.example.com/jwks` }, 'keys_unavailable'],
    ['has a jwks_uri that is a file URL', { jwks_uri: `file:///${MARKER}` }, 'keys_unavailable'],
    ['has a jwks_uri with a password', { jwks_uri: `https://user:${MARKER}@example.com/jwks` }, 'keys_unavailable'],
  ])('is rejected if it %s', async (_what, members, reason) => {
    const issuer = await startIssuer();
    const written = JSON.stringify(members).replace('SLASH', `${issuer.url}/`).replace('ISSUER', issuer.url);
    Object.assign(issuer.metadata, members, JSON.parse(written));
    let now = issuer.now;
    const app = serveFor(issuer, { clock: () => now });
    const response = await expectUnavailable(app, await issuer.issue(), reason);
    expect(JSON.stringify([response.headers, response.text])).not.toContain(MARKER);
    expect(issuer.requests.jwks).toBe(0);

    for (const name of Object.keys(members)) Reflect.deleteProperty(issuer.metadata, name);
    now += 60;
    expect((await get(app, await issuer.issue())).status).toBe(200);
  });

  it('without a jwks_uri provides no keys', async () => {
    const issuer = await startIssuer();
    issuer.metadata.jwks_uri = undefined;
    await expectUnavailable(serveFor(issuer), await issuer.issue(), 'keys_unavailable');
  });

  it.each<[string, unknown, RegExp]>([
    ['absent', undefined, /has no jwks_uri$/],
    ['http:', 'http://keys.example.com/jwks', /may be called: an http: address needs allowInsecureHttp: true$/],
    ['relative', '/jwks', /may be called: it is not an https: URL$/],
    ['a number', 1, /may be called: it is not an https: URL$/],
  ])('tells the operator why its jwks_uri is not called: %s', async (_, value, text) => {
    const issuer = await startIssuer();
    Object.assign(issuer.metadata, { jwks_uri: value });
    const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience });
    const cause = expect.objectContaining({ message: expect.stringMatching(text) });
    await expect(verifier.verify(await issuer.issue())).rejects.toMatchObject({ reason: 'keys_unavailable', cause });
  });

  it('with a jwks_uri of more than 2,048 characters provides no keys', async () => {
    const issuer = await startIssuer();
    const long = `${issuer.jwksUri}?${'x'.repeat(2_048)}`;
    issuer.metadata.jwks_uri = long;
    await expectUnavailable(serveFor(issuer), await issuer.issue(), 'keys_unavailable');
    expect(issuer.requests.jwks).toBe(0);
    issuer.metadata.jwks_uri = long.slice(0, 2_048);
    expect((await get(serveFor(issuer), await issuer.issue())).status).toBe(200);
  });

  it('that is missing at both addresses causes 503', async () => {
    const issuer = await startIssuer({ path: '/tenant' });
    const elsewhere = issuer.url.replace('/tenant', '/other');
    const app = serve(jwtBearer({ issuer: elsewhere, audience: issuer.audience }));
    await expectUnavailable(app, await issuer.issue({ iss: elsewhere }), 'metadata_unavailable');
    expect(issuer.requests).toMatchObject({ metadata: 0, jwks: 0 });
  });
});

describe('an issuer that is unavailable at startup', () => {
  const FAULTS: Fault[] = ['error', 'truncated', 'html', 'huge', 'redirect', 'missing', 'hangup', 'hang', 'drip'];
  const respondWith = (body: string): Fault => {
    return (res) => res.setHeader('Content-Type', 'application/json').end(body);
  };
  const more: [string, Fault][] = [
    ['an array', respondWith('[]')],
    ['null', respondWith('null')],
    ['a string', respondWith('"keys"')],
    ['nothing', respondWith('')],
    ['bytes that are not UTF-8', (res) => res.end(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))],
    ['204', (res) => res.writeHead(204).end()],
    ['401', (res) => res.writeHead(401, { 'WWW-Authenticate': 'Basic realm="upstream"' }).end()],
    ['429', (res) => res.writeHead(429, { 'Retry-After': '1000000' }).end()],
  ];
  const named = [...FAULTS.map((fault): [string, Fault] => [fault as string, fault]), ...more];
  const reasons: [IssuerDocument, UpstreamReason][] = [
    ['metadata', 'metadata_unavailable'],
    ['jwks', 'keys_unavailable'],
  ];
  const table = reasons.flatMap(([document, reason]) =>
    named.map(([what, fault]) => ({ document, reason, what, fault })),
  );

  it.each(table)(
    'causes 503 and recovers without a restart: its $document is $what',
    async ({ document, reason, fault }) => {
      const issuer = await startIssuer();
      let now = issuer.now;
      const app = serveFor(issuer, { clock: () => now, keys: { timeout: 0.5 } });
      issuer.fail(document, fault);
      const response = await expectUnavailable(app, await issuer.issue(), reason);
      expect(response.text).not.toMatch(/127\.0\.0\.1|ECONN|html|keys"|elsewhere|upstream/i);

      issuer.heal();
      // The longest pause that a server can request.
      now += 301;
      expect((await get(app, await issuer.issue())).status).toBe(200);
    },
  );

  it('causes 503 and recovers without a restart: it is down', async () => {
    const issuer = await startIssuer();
    let now = issuer.now;
    const app = serveFor(issuer, { clock: () => now });
    const token = await issuer.issue();
    await issuer.goDown();
    await expectUnavailable(app, token, 'metadata_unavailable');
    await issuer.comeBack();
    now += 60;
    expect((await get(app, token)).status).toBe(200);
  });

  it.each<[string, unknown]>([
    ['no keys', {}],
    ['keys that are an object', { keys: {} }],
    ['keys that are null', { keys: null }],
  ])('causes 503 if its JWKS has %s', async (_what, document) => {
    const issuer = await startIssuer();
    issuer.fail('jwks', respondWith(JSON.stringify(document)));
    await expectUnavailable(serveFor(issuer), await issuer.issue(), 'keys_unavailable');
  });

  it('makes ready() reject, and a later ready() resolve', async () => {
    const issuer = await startIssuer();
    let now = issuer.now;
    const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience, clock: () => now });
    issuer.fail('metadata', 'error');
    await expect(verifier.ready()).rejects.toMatchObject({ name: 'UpstreamError', reason: 'metadata_unavailable' });
    issuer.heal();
    now += 60;
    await expect(verifier.ready()).resolves.toBeUndefined();
    await verifier.close();
  });
});
