import { describe, expect, it } from '@jest/globals';
import express, { type Express } from 'express';
import supertest from 'supertest';
import { isSameHttpUri } from '../../lib/proof/http-uri.js';
import { BASE_URL, dpopBearer, expectAccepted, expectProofRejected, serveDpop, createScene } from '../support/dpop.js';
import { getRaw, handled, listen, serve } from '../support/helpers.js';

const scene = createScene();

/** The status of a request for a path with a proof for a URI. */
async function statusOf(app: Express, path: string, htu: string): Promise<number> {
  const proof = await scene.prove({ claims: { htu } });
  const port = await listen(app);
  const before = handled(app);
  const { status } = await getRaw(port, ['Authorization', `DPoP ${scene.token}`, 'DPoP', proof], { path });
  expect(handled(app)).toBe(status === 200 ? before + 1 : before);
  return status;
}

/** An allowed difference, the path of the request, the URI of the proof. */
const SAME: readonly [string, string, string][] = [
  ['that are identical', '/orders/1', `${BASE_URL}/orders/1`],
  ['except for a query of the request', '/orders?a=b&c=%20', `${BASE_URL}/orders`],
  ['except for a query of the proof', '/orders', `${BASE_URL}/orders?a=b`],
  ['except for another query', '/orders?a=b', `${BASE_URL}/orders?c=d`],
  ['except for an empty query', '/orders?', `${BASE_URL}/orders`],
  ['except for a fragment', '/orders', `${BASE_URL}/orders#part`],
  ['except for a query and a fragment', '/orders?a=b', `${BASE_URL}/orders?c=d#part`],
  ['except for a question mark in a query', '/orders?a=/b?c', `${BASE_URL}/orders`],
  ['except for the case of the scheme', '/', 'HTTPS://api.example.com/'],
  ['except for the case of the host', '/', 'https://API.Example.COM/'],
  ['except for the default port', '/', 'https://api.example.com:443/'],
  ['except for an empty port', '/', 'https://api.example.com:/'],
  ['except for an empty path', '/', BASE_URL],
  ['except for an empty path before a query', '/?a=b', `${BASE_URL}?a=b`],
  ['except for an unreserved character that the proof encodes', '/~me', `${BASE_URL}/%7Eme`],
  ['except for an unreserved character that the request encodes', '/%7Eme', `${BASE_URL}/~me`],
  ['except for letters that are encoded', '/%6Frders', `${BASE_URL}/o%72ders`],
  ['except for the case of percent-encoding', '/a%2fb/%c3%a9', `${BASE_URL}/a%2Fb/%C3%A9`],
  ['except for a dot segment of the proof', '/orders', `${BASE_URL}/./orders`],
  ['except for two dots in the proof', '/orders', `${BASE_URL}/items/../orders`],
  ['except for two dots in the proof that are encoded', '/orders', `${BASE_URL}/items/%2e%2E/orders`],
  ['except for dots above the root', '/orders', `${BASE_URL}/../../orders`],
  ['except for dots at the end', '/items/', `${BASE_URL}/items/orders/..`],
  ['with reserved characters', "/a;b=c,d/e:f@g/!$&'()*+", `${BASE_URL}/a;b=c,d/e:f@g/!$&'()*+`],
  ['with two slashes', '//orders//1', `${BASE_URL}//orders//1`],
  ['with a slash at the end', '/orders/', `${BASE_URL}/orders/`],
  ['with dots that are not dot segments', '/.well-known/a..b/...', `${BASE_URL}/.well-known/a..b/...`],
];

const OTHER: readonly [string, string, string][] = [
  ['the parent path', '/orders/1', `${BASE_URL}/orders`],
  ['a child path', '/orders', `${BASE_URL}/orders/1`],
  ['a slash at the end', '/orders', `${BASE_URL}/orders/`],
  ['no slash at the end', '/orders/', `${BASE_URL}/orders`],
  ['another case', '/orders', `${BASE_URL}/Orders`],
  ['one slash instead of two', '//orders', `${BASE_URL}/orders`],
  ['two slashes instead of one', '/orders', `${BASE_URL}//orders`],
  ['a slash that is encoded', '/a/b', `${BASE_URL}/a%2Fb`],
  ['a slash that is not encoded', '/a%2Fb', `${BASE_URL}/a/b`],
  ['a reserved character that is encoded', '/a;b', `${BASE_URL}/a%3Bb`],
  ['double encoding', '/%2561', `${BASE_URL}/%61`],
  ['a question mark that is encoded', '/orders', `${BASE_URL}/orders%3Fa=b`],
  ['a query instead of the path', '/orders', `${BASE_URL}/?/orders`],
  ['a fragment instead of the path', '/orders', `${BASE_URL}/#/orders`],
  ['dots at the end of a longer path', '/orders', `${BASE_URL}/orders/..`],
  ['a backslash', '/orders', `${BASE_URL}\\orders`],
  ['backslashes after the scheme', '/', 'https:\\\\api.example.com/'],
  ['one slash after the scheme', '/', 'https:/api.example.com/'],
  ['no slash after the scheme', '/', 'https:api.example.com/'],
  ['no host', '/', 'https:///api.example.com/'],
  ['no host and more slashes', '/', 'https:////api.example.com/'],
  ['a leading space', '/', ` ${BASE_URL}/`],
  ['a trailing space', '/', `${BASE_URL}/ `],
  ['a line break', '/', `${BASE_URL}/\n`],
  ['a tab in the host', '/', 'https://api.exam\tple.com/'],
  ['a line break in the path', '/orders', `${BASE_URL}/or\nders`],
  ['NUL', '/orders', `${BASE_URL}/orders\0`],
  ['a letter that a URI cannot contain', '/%C3%A9', `${BASE_URL}/é`],
  ['a host with dots of another script', '/', 'https://api。example.com/'],
  ['a host in full-width letters', '/', 'https://ａpi.example.com/'],
  ['a soft hyphen in the host', '/', 'https://api\u00ad.example.com/'],
  ['half a percent-encoding', '/orders', `${BASE_URL}/orders%`],
  ['an invalid percent-encoding', '/orders', `${BASE_URL}/orders%zz`],
  ['percent-encoding within percent-encoding', '/%26', `${BASE_URL}/%2%36`],
  ['a port above 65535', '/', 'https://api.example.com:99999/'],
  ['a port that is not a number', '/', 'https://api.example.com:x/'],
];

describe('the URI of a proof', () => {
  it.each(SAME)('matches the request %s: %s, %s', async (_, path, htu) => {
    const app = serveDpop(scene.issuer);
    expect(await statusOf(app, path, htu)).toBe(200);
  });

  it.each(OTHER)('does not match the request with %s: %j, %j', async (_, path, htu) => {
    const app = serveDpop(scene.issuer);
    expect(await statusOf(app, path, htu)).toBe(401);
    expect(await statusOf(app, path, `${BASE_URL}${path}`)).toBe(200);
  });

  it('is the URI that the caller used, not the URI that a router sees', async () => {
    const app = express();
    app.use('/api/:tenant', dpopBearer(scene.issuer, 'required'), (_req, res) => {
      res.end();
    });
    const send = async (htu: string): Promise<supertest.Response> => {
      const proof = await scene.prove({ claims: { htu } });
      return supertest(app).get('/api/one/orders').set('Authorization', `DPoP ${scene.token}`).set('DPoP', proof);
    };
    expect((await send(`${BASE_URL}/orders`)).status).toBe(401);
    expect((await send(`${BASE_URL}/api/one/orders`)).status).toBe(200);
  });
});

describe('baseUrl', () => {
  it.each([
    ['https://gateway.example.com', '/orders', 'https://gateway.example.com/orders'],
    ['https://gateway.example.com/', '/orders', 'https://gateway.example.com/orders'],
    ['https://gateway.example.com/api', '/orders', 'https://gateway.example.com/api/orders'],
    ['https://gateway.example.com/api/', '/orders', 'https://gateway.example.com/api/orders'],
    ['https://gateway.example.com/api//', '/', 'https://gateway.example.com/api/'],
    ['https://gateway.example.com:443/a/b', '/orders?x=y', 'https://gateway.example.com/a/b/orders'],
    ['HTTPS://Gateway.Example.com', '/orders', 'https://gateway.example.com/orders'],
    ['http://gateway.example.com:8080', '/orders', 'http://gateway.example.com:8080/orders'],
    ['https://[::1]:8443/api', '/orders', 'https://[::1]:8443/api/orders'],
    ['https://gateway.example.com/%7Eapi', '/orders', 'https://gateway.example.com/~api/orders'],
  ])('%s with a request for %s is %s', async (baseUrl, path, htu) => {
    const app = serve(dpopBearer(scene.issuer, 'required', { baseUrl }));
    expect(await statusOf(app, path, htu)).toBe(200);
    expect(await statusOf(app, path, `https://gateway.example.com/other`)).toBe(401);
  });

  it('replaces the host of the request', async () => {
    const app = serveDpop(scene.issuer);
    app.set('trust proxy', true);
    const forwarded = { 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'http', Host: 'evil.example' };
    const send = async (htu: string): Promise<supertest.Test> => {
      const sent = supertest(app).get('/').set('Authorization', `DPoP ${scene.token}`).set(forwarded);
      return sent.set('DPoP', await scene.prove({ claims: { htu } }));
    };
    for (const htu of ['http://evil.example/', 'https://evil.example/', 'http://api.example.com/']) {
      expect((await send(htu)).status).toBe(401);
    }
    expect((await send(`${BASE_URL}/`)).status).toBe(200);
  });

  it('is not disclosed by a rejection', async () => {
    const app = serve(dpopBearer(scene.issuer, 'required', { baseUrl: 'https://hidden.example.com' }));
    const proof = await scene.prove();
    const sent = supertest(app).get('/').set('Authorization', `DPoP ${scene.token}`).set('DPoP', proof);
    const response = await expectProofRejected(app, sent, 'proof_uri_mismatch');
    expect(JSON.stringify([response.headers, response.body])).not.toContain('hidden');
    const good = await scene.prove({ claims: { htu: 'https://hidden.example.com/' } });
    await expectAccepted(app, supertest(app).get('/').set('Authorization', `DPoP ${scene.token}`).set('DPoP', good));
  });
});

describe('isSameHttpUri()', () => {
  it.each(SAME)('is true in both directions %s: %s, %s', (_, path, htu) => {
    expect([isSameHttpUri(`${BASE_URL}${path}`, htu), isSameHttpUri(htu, `${BASE_URL}${path}`)]).toEqual([true, true]);
  });

  it.each(['/%', '/%2', '/%zz', '/%2%36', '/%u0061', '/a%/b'])('is false for URIs with %s', (path) => {
    expect(isSameHttpUri(`${BASE_URL}${path}`, `${BASE_URL}${path}`)).toBe(false);
  });

  it.each([undefined, null, 1, {}, ['https://api.example.com/'], '', '/', 'urn:x', 'file:///x', 'data:,x'])(
    'is false for two values %j',
    (value) => {
      expect(isSameHttpUri(value, value)).toBe(false);
    },
  );
});
