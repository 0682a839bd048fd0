import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { CompactEncrypt, FlattenedSign } from 'jose';
import { type InvalidTokenReason, jwtVerifier } from '../../lib/index.js';
import { makeSigningKey, type TestIssuer } from '../../lib/testing/issuer.js';
import {
  base64url,
  cachedResult,
  expectInvalidToken,
  get,
  handled,
  serveFor,
  signRaw,
  startIssuer,
} from '../support/helpers.js';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

type Forge = (issuer: TestIssuer) => Promise<string>;

/** A valid token in which one segment is replaced. */
function withSegment(index: number, change: (segment: string) => string): Forge {
  return async (issuer) => {
    const segments = (await issuer.issue()).split('.');
    segments[index] = change(segments[index] ?? '');
    return segments.join('.');
  };
}

/** Signed by the issuer, with these bytes as the payload. */
function withPayload(payload: string | Uint8Array): Forge {
  return (issuer) => issuer.issue({}, { payload: typeof payload === 'string' ? encode(payload) : payload });
}

/** Signed by the issuer, with this text as the header. */
function withHeader(header: string): Forge {
  return async (issuer) => signRaw(header, claimsOf(await issuer.issue()), issuer.key);
}

function withParameters(parameters: Record<string, unknown>): Forge {
  return (issuer) => withHeader(JSON.stringify({ alg: 'ES256', kid: issuer.key.kid, ...parameters }))(issuer);
}

function claimsOf(token: string): string {
  return Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
}

describe('a malformed token', () => {
  it.each<[string, Forge, InvalidTokenReason]>([
    ['one segment', () => Promise.resolve('opaque'), 'not_a_jwt'],
    ['two segments', async (issuer) => (await issuer.issue()).split('.').slice(0, 2).join('.'), 'not_a_jwt'],
    ['four segments', async (issuer) => `${await issuer.issue()}.x`, 'not_a_jwt'],
    ['a dot at the end', async (issuer) => `${await issuer.issue()}.`, 'not_a_jwt'],
    ['a dot at the start', async (issuer) => `.${await issuer.issue()}`, 'not_a_jwt'],
    ['only dots', () => Promise.resolve('..'), 'malformed'],
    ['no header', withSegment(0, () => ''), 'malformed'],
    ['no payload', withSegment(1, () => ''), 'malformed'],
    ['no signature', withSegment(2, () => ''), 'malformed'],
    ['a header in plain base64', withSegment(0, (segment) => `${segment}+/`), 'malformed'],
    ['padding', withSegment(2, (segment) => `${segment}=`), 'malformed'],
    ['a signature of an impossible length', withSegment(2, (segment) => segment.slice(0, -1)), 'malformed'],
    ['a signature that is shorter', withSegment(2, (segment) => segment.slice(0, -2)), 'signature_mismatch'],
    ['a signature that is longer', withSegment(2, (segment) => `${segment}AA`), 'signature_mismatch'],
    ['a signature of zeros', withSegment(2, () => base64url(new Uint8Array(64))), 'signature_mismatch'],
    ['a header that is not JSON', withHeader('{"alg":"ES256"'), 'malformed'],
    ['a header that is an array', withHeader('["ES256"]'), 'malformed'],
    ['a header that is a string', withHeader('"ES256"'), 'malformed'],
    ['a header that is null', withHeader('null'), 'malformed'],
    ['no alg', withHeader('{}'), 'malformed'],
    ['an alg that is an array', withParameters({ alg: ['ES256'] }), 'malformed'],
    ['an empty alg', withParameters({ alg: '' }), 'malformed'],
    ['a kid that is a number', withParameters({ kid: 1 }), 'malformed'],
    ['a kid that is null', withParameters({ kid: null }), 'malformed'],
    ['a typ that is an array', withParameters({ typ: ['at+jwt'] }), 'malformed'],
    ['a typ that is null', withParameters({ typ: null }), 'malformed'],
    ['an alg in lower case', withParameters({ alg: 'es256' }), 'algorithm_refused'],
    ['the alg "constructor"', withParameters({ alg: 'constructor' }), 'algorithm_refused'],
    ['an alg that is __proto__', withHeader('{"alg":"__proto__"}'), 'algorithm_refused'],
    ['an alg that is inherited through __proto__', withHeader('{"__proto__":{"alg":"ES256"}}'), 'malformed'],
    ['an empty payload object', withPayload('{}'), 'issuer_mismatch'],
    ['a payload that is an array', withPayload('[]'), 'malformed'],
    ['a payload that is a string', withPayload('"sub"'), 'malformed'],
    ['a payload that is a number', withPayload('1'), 'malformed'],
    ['a payload that is null', withPayload('null'), 'malformed'],
    ['a payload that is not JSON', withPayload('sub=admin'), 'malformed'],
    ['an incomplete payload', withPayload('{"iss":"'), 'malformed'],
    ['a payload that is not UTF-8', withPayload(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)), 'malformed'],
    ['a payload in UTF-16', withPayload(Uint8Array.from(Buffer.from('{}', 'utf16le'))), 'malformed'],
    ['a payload of open nested arrays', withPayload('['.repeat(8_000)), 'malformed'],
    ['a payload of deeply nested arrays', withPayload('['.repeat(4_000) + ']'.repeat(4_000)), 'malformed'],
    ['crit null', withParameters({ crit: null }), 'critical_refused'],
    ['an empty crit', withParameters({ crit: [] }), 'critical_refused'],
    ['a crit that is a string', withParameters({ crit: 'exp' }), 'critical_refused'],
    ['an unknown crit', withParameters({ crit: ['exp'], exp: 1 }), 'critical_refused'],
    ['a crit whose parameter is missing', withParameters({ crit: ['x'] }), 'critical_refused'],
    [
      'a crit with a known and an unknown parameter',
      withParameters({ crit: ['b64', 'x'], b64: true, x: 1 }),
      'critical_refused',
    ],
    ['an unencoded payload', withParameters({ crit: ['b64'], b64: false }), 'critical_refused'],
  ])('is rejected: %s', async (_what, forge, reason) => {
    const issuer = await startIssuer();
    const api = serveFor(issuer);
    await expectInvalidToken(api, await forge(issuer), reason);
    expect((await get(api, await issuer.issue())).status).toBe(200);
  });

  it.each(['none', 'None', 'NONE', 'nOnE', 'HS256', 'ES256K', 'RS1', 'dir'])('is rejected: alg %s', async (alg) => {
    const issuer = await startIssuer();
    const api = serveFor(issuer);
    const [, payload, signature] = (await issuer.issue()).split('.');
    const header = base64url(JSON.stringify({ alg, kid: issuer.key.kid }));
    await expectInvalidToken(api, `${header}.${payload ?? ''}.${signature ?? ''}`, 'algorithm_refused');
    await expectInvalidToken(api, `${header}.${payload ?? ''}.`, 'malformed');
    expect(issuer.requests).toMatchObject({ metadata: 0, jwks: 0 });
  });

  it('is rejected if it is encrypted', async () => {
    const issuer = await startIssuer();
    const { n = '', e = '' } = (await makeSigningKey('RS256')).publicJwk;
    const header = { alg: 'RSA-OAEP-256', enc: 'A256GCM' };
    const token = await new CompactEncrypt(encode('{}')).setProtectedHeader(header).encrypt({ kty: 'RSA', n, e });
    await expectInvalidToken(serveFor(issuer), token, 'not_a_jwt');
  });

  it('is rejected in the JSON serialization, which no header can contain', async () => {
    const issuer = await startIssuer();
    const payload = encode(claimsOf(await issuer.issue()));
    const header = { alg: 'ES256', kid: issuer.key.kid };
    const jws = await new FlattenedSign(payload).setProtectedHeader(header).sign(issuer.key.privateKey);
    const api = serveFor(issuer);
    const response = await get(api, JSON.stringify(jws));
    expect({ status: response.status, body: response.body as unknown }).toEqual({
      status: 400,
      body: { error: 'invalid_request', error_description: 'The request carries more than one credential.' },
    });
    await expectInvalidToken(api, base64url(JSON.stringify(jws)), 'not_a_jwt');
    expect(handled(api)).toBe(0);
  });

  it('is rejected if it is longer than maxTokenBytes, to the byte', async () => {
    const issuer = await startIssuer();
    const token = await issuer.issue();
    expect((await get(serveFor(issuer, { maxTokenBytes: token.length }), token)).status).toBe(200);
    await expectInvalidToken(serveFor(issuer, { maxTokenBytes: token.length - 1 }), token, 'too_large');
  });
});

describe('a value that is not a token', () => {
  it.each([undefined, null, 1, {}, [], ['a.b.c'], Buffer.from('a.b.c')])(
    'is rejected by a verifier: %p',
    async (token) => {
      const issuer = await startIssuer();
      const verifier = jwtVerifier({ issuer: issuer.url, audience: issuer.audience });
      await expect(verifier.verify(token as string)).rejects.toMatchObject({
        name: 'InvalidTokenError',
        reason: 'malformed',
      });
      expect(cachedResult(verifier, token as string)).toBeUndefined();
      await expect(verifier.verify(await issuer.issue())).resolves.toMatchObject({ clientId: 'client-1' });
      await verifier.close();
    },
  );
});

describe('a signed token of unusual form', () => {
  const accepted = async (issuer: TestIssuer, token: string): Promise<unknown> => {
    const response = await get(serveFor(issuer), token);
    expect(response.status).toBe(200);
    return response.body as unknown;
  };

  it('is accepted with deeply nested claims, and freezing them causes no stack overflow', async () => {
    const issuer = await startIssuer();
    const deep = `${'['.repeat(4_000)}${']'.repeat(4_000)}`;
    const text = claimsOf(await issuer.issue()).replace(/\}$/, `,"deep":${deep}}`);
    await accepted(issuer, await withPayload(text)(issuer));
  });

  it('has the value of the last duplicate member', async () => {
    const issuer = await startIssuer();
    const good = claimsOf(await issuer.issue());
    const evilLast = await withPayload(good.replace(/\}$/, ',"iss":"https://evil.example.com"}'))(issuer);
    await expectInvalidToken(serveFor(issuer), evilLast, 'issuer_mismatch');
    await accepted(issuer, await withPayload(good.replace(/^\{/, '{"iss":"https://evil.example.com",'))(issuer));
  });

  it('gains nothing through a claim __proto__, and changes no other object', async () => {
    const issuer = await startIssuer();
    const evil = '{"__proto__":{"scope":"admin","polluted":true,"gty":"client-credentials"},';
    const body = await accepted(
      issuer,
      await withPayload(claimsOf(await issuer.issue({ sub: 'alice' })).replace('{', evil))(issuer),
    );
    expect(body).toEqual({ clientId: 'client-1', subject: 'alice', scopes: [], isMachine: false });
    expect('polluted' in {}).toBe(false);
  });

  it('has no claims that it inherits through __proto__', async () => {
    const issuer = await startIssuer();
    const { url, audience, now } = issuer;
    const inherited = JSON.stringify({ iss: url, aud: audience, exp: now + 300 });
    await expectInvalidToken(
      serveFor(issuer),
      await withPayload(`{"__proto__":${inherited}}`)(issuer),
      'issuer_mismatch',
    );
  });

  it('is accepted with crit b64 if the payload is encoded', async () => {
    const issuer = await startIssuer();
    await accepted(issuer, await withParameters({ crit: ['b64'], b64: true })(issuer));
  });
});

describe('keys in the header of a token', () => {
  it.each(['jwk', 'jku', 'x5u', 'x5c', 'all'])('are neither used nor fetched: %s', async (which) => {
    let requests = 0;
    const evilServer = createServer((_req, res) => {
      requests++;
      res.end('{}');
    });
    await new Promise<void>((resolve) => evilServer.listen(0, '127.0.0.1', resolve));
    try {
      const issuer = await startIssuer();
      const evil = await makeSigningKey();
      const address = `http://127.0.0.1:${(evilServer.address() as AddressInfo).port}/`;
      const brought = { jwk: evil.publicJwk, jku: address, x5u: address, x5c: ['AAAA'] };
      const parameters = Object.fromEntries(Object.entries(brought).filter(([name]) => [name, 'all'].includes(which)));
      const api = serveFor(issuer);
      const options = { key: evil, header: parameters };
      await expectInvalidToken(api, await issuer.issue({}, options), 'unknown_key');
      const unnamed = { key: evil, header: { ...parameters, kid: undefined } };
      await expectInvalidToken(api, await issuer.issue({}, unnamed), 'signature_mismatch');
      const named = { key: evil, header: { ...parameters, kid: issuer.key.kid } };
      await expectInvalidToken(api, await issuer.issue({}, named), 'signature_mismatch');
      expect((await get(api, await issuer.issue({}, { header: parameters }))).status).toBe(200);
      expect(requests).toBe(0);
    } finally {
      evilServer.closeAllConnections();
      evilServer.close();
    }
  });

  it('cause no request, and the issuer of an untrusted token causes none either', async () => {
    const issuer = await startIssuer();
    const stranger = await startIssuer();
    await expectInvalidToken(serveFor(issuer), await stranger.issue(), 'issuer_mismatch');
    expect([issuer.requests, stranger.requests]).toMatchObject([
      { metadata: 0, jwks: 0 },
      { metadata: 0, jwks: 0 },
    ]);
  });
});
