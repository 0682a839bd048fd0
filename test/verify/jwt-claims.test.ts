import { describe, expect, it } from '@jest/globals';
import type { InvalidTokenReason, JwtBearerOptions } from '../../lib/index.js';
import { expectInvalidToken, get, serveFor, startIssuer } from '../support/helpers.js';

const NOW = 1_800_000_000;
const clock = (): number => NOW;

type Claims = Record<string, unknown>;

describe('the claims of a token', () => {
  it.each<[string, Claims, InvalidTokenReason]>([
    ['no iss', { iss: undefined }, 'issuer_mismatch'],
    ['an iss that is null', { iss: null }, 'issuer_mismatch'],
    ['another iss', { iss: 'https://evil.example.com' }, 'issuer_mismatch'],
    ['an empty iss', { iss: '' }, 'issuer_mismatch'],
    ['no aud', { aud: undefined }, 'audience_missing'],
    ['an aud that is null', { aud: null }, 'audience_missing'],
    ['another aud', { aud: 'https://other.example.com' }, 'audience_mismatch'],
    ['an aud that starts with the configured one', { aud: 'https://api.example.com/' }, 'audience_mismatch'],
    ['an aud that differs in letter case', { aud: 'https://API.example.com' }, 'audience_mismatch'],
    ['an empty array of aud', { aud: [] }, 'audience_mismatch'],
    ['an aud nested in arrays', { aud: [['https://api.example.com']] }, 'audience_mismatch'],
    ['an aud that is an object', { aud: { 0: 'https://api.example.com', length: 1 } }, 'audience_mismatch'],
    ['two other auds', { aud: ['a', 'b'] }, 'audience_mismatch'],
    ['no exp', { exp: undefined }, 'claim_missing'],
    ['an exp that is null', { exp: null }, 'claim_missing'],
    ['an exp that is a string', { exp: String(NOW + 300) }, 'claim_malformed'],
    ['an exp that is an array', { exp: [NOW + 300] }, 'claim_malformed'],
    ['an exp that is true', { exp: true }, 'claim_malformed'],
    ['an exp below zero', { exp: -1 }, 'expired'],
    ['an nbf that is a string', { nbf: String(NOW - 300) }, 'claim_malformed'],
    ['an iat that is a string', { iat: String(NOW - 300) }, 'claim_malformed'],
    ['an iat that is an object', { iat: {} }, 'claim_malformed'],
    ['a sub that is a number', { sub: 1 }, 'claim_malformed'],
    ['a client_id that is an array', { client_id: ['client-1'] }, 'claim_malformed'],
    ['a jti that is a number', { jti: 1 }, 'claim_malformed'],
    ['an at_hash', { at_hash: 'x' }, 'id_token'],
    ['a c_hash', { c_hash: 'x' }, 'id_token'],
    ['an s_hash', { s_hash: '' }, 'id_token'],
  ])('are rejected with %s', async (_what, claims, reason) => {
    const issuer = await startIssuer({ clock });
    const api = serveFor(issuer, { clock });
    await expectInvalidToken(api, await issuer.issue(claims), reason);
    expect(issuer.requests).toMatchObject({ metadata: 0, jwks: 0 });
    expect((await get(api, await issuer.issue())).status).toBe(200);
  });

  it.each(['at_hash', 'c_hash', 's_hash'])(
    'are rejected with %s, a claim of ID tokens, in every profile',
    async (name) => {
      const issuer = await startIssuer();
      const api = serveFor(issuer, { profile: 'rfc9068' });
      await expectInvalidToken(api, await issuer.issue({ [name]: 'x' }), 'id_token');
    },
  );

  it.each<[string, string]>([
    ['a trailing slash', 'https://issuer.example.com/'],
    ['capital letters', 'https://ISSUER.example.com'],
    ['a default port', 'https://issuer.example.com:443'],
    ['a space before', ' https://issuer.example.com'],
  ])('must name the issuer exactly: a difference is %s', async (_what, iss) => {
    const issuer = await startIssuer();
    const api = serveFor(issuer, { issuer: 'https://issuer.example.com', jwks: { keys: [issuer.key.publicJwk] } });
    await expectInvalidToken(api, await issuer.issue({ iss }), 'issuer_mismatch');
    expect((await get(api, await issuer.issue({ iss: 'https://issuer.example.com' }))).status).toBe(200);
  });

  it('may contain this audience among others', async () => {
    const issuer = await startIssuer();
    const token = await issuer.issue({ aud: ['https://other.example.com', 7, issuer.audience] });
    expect((await get(serveFor(issuer), token)).status).toBe(200);
  });

  it('may contain any one of several audiences', async () => {
    const issuer = await startIssuer();
    const api = serveFor(issuer, { audience: ['first', 'second'] });
    expect((await get(api, await issuer.issue({ aud: 'second' }))).status).toBe(200);
    await expectInvalidToken(api, await issuer.issue({ aud: 'third' }), 'audience_mismatch');
  });

  it('may contain any audience only with audience: false', async () => {
    const issuer = await startIssuer();
    const token = await issuer.issue({ aud: undefined });
    expect((await get(serveFor(issuer, { audience: false }), token)).status).toBe(200);
    await expectInvalidToken(serveFor(issuer), token, 'audience_missing');
  });

  it('must include all required claims, including custom ones, with any value', async () => {
    const issuer = await startIssuer();
    const api = serveFor(issuer, { requiredClaims: ['tenant', 'constructor'] });
    await expectInvalidToken(api, await issuer.issue({ tenant: 't' }), 'claim_missing');
    await expectInvalidToken(api, await issuer.issue({ constructor: 1 }), 'claim_missing');
    expect((await get(api, await issuer.issue({ tenant: '', constructor: 1 }))).status).toBe(200);
    await expectInvalidToken(api, await issuer.issue({ tenant: null, constructor: 1 }), 'claim_missing');
  });
});

describe('the times of a token', () => {
  const TOLERANT: Partial<JwtBearerOptions> = {};
  const EXACT: Partial<JwtBearerOptions> = { clockTolerance: 0 };
  const YOUNG: Partial<JwtBearerOptions> = { maxTokenAge: 60 };
  const YOUNG_EXACT: Partial<JwtBearerOptions> = { maxTokenAge: 60, clockTolerance: 0 };

  it.each<[string, Partial<JwtBearerOptions>, Claims, Claims, InvalidTokenReason]>([
    ['exp', TOLERANT, { exp: NOW - 9.9 }, { exp: NOW - 10 }, 'expired'],
    ['exp without tolerance', EXACT, { exp: NOW + 0.1 }, { exp: NOW }, 'expired'],
    ['exp with much tolerance', { clockTolerance: 300 }, { exp: NOW - 299 }, { exp: NOW - 300 }, 'expired'],
    ['nbf', TOLERANT, { nbf: NOW + 10 }, { nbf: NOW + 10.1 }, 'not_yet_valid'],
    ['nbf without tolerance', EXACT, { nbf: NOW }, { nbf: NOW + 1 }, 'not_yet_valid'],
    ['iat', TOLERANT, { iat: NOW + 60 }, { iat: NOW + 60.1 }, 'issued_in_future'],
    ['iat without tolerance', EXACT, { iat: NOW + 60 }, { iat: NOW + 61 }, 'issued_in_future'],
    ['iat with much tolerance', { clockTolerance: 300 }, { iat: NOW + 300 }, { iat: NOW + 301 }, 'issued_in_future'],
    ['maxTokenAge', YOUNG, { iat: NOW - 69 }, { iat: NOW - 70 }, 'too_old'],
    ['maxTokenAge without tolerance', YOUNG_EXACT, { iat: NOW - 59 }, { iat: NOW - 60 }, 'too_old'],
    ['a missing iat', YOUNG, { iat: NOW }, { iat: undefined }, 'claim_missing'],
  ])('are compared to the second: %s', async (_what, options, good, bad, reason) => {
    const issuer = await startIssuer({ clock });
    const api = serveFor(issuer, { clock, ...options });
    expect((await get(api, await issuer.issue(good))).status).toBe(200);
    await expectInvalidToken(api, await issuer.issue(bad), reason);
  });

  it.each<[string, Partial<JwtBearerOptions>, number, InvalidTokenReason]>([
    ['exp', {}, 310, 'expired'],
    ['maxTokenAge', { maxTokenAge: 60 }, 70, 'too_old'],
  ])('are checked again for a cached token: %s', async (_what, options, seconds, reason) => {
    let now = NOW;
    const issuer = await startIssuer({ clock: () => now });
    const api = serveFor(issuer, { clock: () => now, ...options });
    const token = await issuer.issue();
    expect((await get(api, token)).status).toBe(200);
    now = NOW + seconds - 1;
    expect((await get(api, token)).status).toBe(200);
    now = NOW + seconds;
    await expectInvalidToken(api, token, reason);
  });

  it('must not be numbers that JSON.parse turns into Infinity', async () => {
    const issuer = await startIssuer();
    const good = { iss: issuer.url, aud: issuer.audience };
    const text = JSON.stringify(good).replace(/\}$/, ',"exp":1e999}');
    const token = await issuer.issue({}, { payload: new TextEncoder().encode(text) });
    await expectInvalidToken(serveFor(issuer), token, 'claim_malformed');
  });
});

describe('the type of a token', () => {
  const ACCEPTED = ['at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/AT+jwt', 'JWT', 'jwt', 'application/jwt'];

  it.each([...ACCEPTED, undefined])('may be %s', async (typ) => {
    const issuer = await startIssuer();
    expect((await get(serveFor(issuer), await issuer.issue({}, { header: { typ } }))).status).toBe(200);
  });

  it.each([
    ...['id_token', 'logout+jwt', 'dpop+jwt', 'token-introspection+jwt', 'secevent+jwt', 'oauth-authz-req+jwt'],
    ...['client-authentication+jwt', 'entity-statement+jwt', 'vc+sd-jwt', 'JOSE', 'JWE', 'application/dpop+jwt'],
    ...['', 'at+jwt ', ' JWT', 'text/at+jwt', 'application/application/at+jwt', 'at+jwt;x=1', 'at+jwt\u0000'],
  ])('must not be %j', async (typ) => {
    const issuer = await startIssuer();
    await expectInvalidToken(serveFor(issuer), await issuer.issue({}, { header: { typ } }), 'type_refused');
    expect(issuer.requests).toMatchObject({ metadata: 0, jwks: 0 });
  });

  it.each(['at+jwt', 'application/AT+JWT'])('may be %s with the profile rfc9068', async (typ) => {
    const issuer = await startIssuer();
    const api = serveFor(issuer, { profile: 'rfc9068' });
    expect((await get(api, await issuer.issue({}, { header: { typ } }))).status).toBe(200);
  });

  it.each(['JWT', 'application/jwt', undefined])('must not be %s with the profile rfc9068', async (typ) => {
    const issuer = await startIssuer();
    const api = serveFor(issuer, { profile: 'rfc9068' });
    await expectInvalidToken(api, await issuer.issue({}, { header: { typ } }), 'type_refused');
  });
});

describe('the profile rfc9068', () => {
  it.each<[string, InvalidTokenReason]>([
    ['iss', 'issuer_mismatch'],
    ['exp', 'claim_missing'],
    ['aud', 'audience_missing'],
    ['sub', 'claim_missing'],
    ['client_id', 'claim_missing'],
    ['iat', 'claim_missing'],
    ['jti', 'claim_missing'],
  ])('requires %s', async (name, reason) => {
    const issuer = await startIssuer();
    const api = serveFor(issuer, { profile: 'rfc9068' });
    await expectInvalidToken(api, await issuer.issue({ [name]: undefined }), reason);
    expect((await get(api, await issuer.issue())).status).toBe(200);
  });

  it('requires aud even if any audience is accepted, and the claims of requiredClaims', async () => {
    const issuer = await startIssuer();
    const api = serveFor(issuer, { profile: 'rfc9068', audience: false, requiredClaims: ['tenant'] });
    await expectInvalidToken(api, await issuer.issue({ aud: undefined, tenant: 't' }), 'claim_missing');
    await expectInvalidToken(api, await issuer.issue(), 'claim_missing');
    expect((await get(api, await issuer.issue({ tenant: 't' }))).status).toBe(200);
  });

  it.each(['sub', 'client_id', 'iat', 'jti'])('is the only one that requires %s', async (name) => {
    const issuer = await startIssuer();
    expect((await get(serveFor(issuer), await issuer.issue({ [name]: undefined }))).status).toBe(200);
  });
});
