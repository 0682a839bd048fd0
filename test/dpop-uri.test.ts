import { describe, expect, it } from '@jest/globals';
import express, { type Express } from 'express';
import supertest from 'supertest';
import { isSameHttpUri } from '../lib/proof/http-uri.js';
import { BASE_URL, dpopBearer, expectAdmitted, expectProofRefused, serveDpop, setScene } from './dpop.js';
import { getRaw, handled, listen, serve } from './helpers.js';

const scene = setScene();

/** What comes of a request for a path with a proof for a URI. */
async function statusOf(app: Express, path: string, htu: string): Promise<number> {
  const proof = await scene.prove({ claims: { htu } });
  const port = await listen(app);
  const before = handled(app);
  const { status } = await getRaw(port, ['Authorization', `DPoP ${scene.token}`, 'DPoP', proof], { path });
  expect(handled(app)).toBe(status === 200 ? before + 1 : before);
  return status;
}

/** The request, the proof, and what is the same about them. */
const SAME: readonly [string, string, string][] = [
  ['word by word', '/orders/1', `${BASE_URL}/orders/1`],
  ['but for a query of the request', '/orders?a=b&c=%20', `${BASE_URL}/orders`],
  ['but for a query of the proof', '/orders', `${BASE_URL}/orders?a=b`],
  ['but for another query', '/orders?a=b', `${BASE_URL}/orders?c=d`],
  ['but for an empty query', '/orders?', `${BASE_URL}/orders`],
  ['but for a fragment', '/orders', `${BASE_URL}/orders#part`],
  ['but for both', '/orders?a=b', `${BASE_URL}/orders?c=d#part`],
  ['but for a question mark in a query', '/orders?a=/b?c', `${BASE_URL}/orders`],
  ['but for the case of the scheme', '/', 'HTTPS://api.example.com/'],
  ['but for the case of the host', '/', 'https://API.Example.COM/'],
  ['but for the default port', '/', 'https://api.example.com:443/'],
  ['but for an empty port', '/', 'https://api.example.com:/'],
  ['but for an empty path', '/', BASE_URL],
  ['but for an empty path before a query', '/?a=b', `${BASE_URL}?a=b`],
  ['but for an unreserved character that the proof encodes', '/~me', `${BASE_URL}/%7Eme`],
  ['but for an unreserved character that the request encodes', '/%7Eme', `${BASE_URL}/~me`],
  ['but for letters that are encoded', '/%6Frders', `${BASE_URL}/o%72ders`],
  ['but for the case of percent-encoding', '/a%2fb/%c3%a9', `${BASE_URL}/a%2Fb/%C3%A9`],
  ['but for a dot segment of the proof', '/orders', `${BASE_URL}/./orders`],
  ['but for two dots in the proof', '/orders', `${BASE_URL}/items/../orders`],
  ['but for two dots in the proof that are encoded', '/orders', `${BASE_URL}/items/%2e%2E/orders`],
  ['but for dots above the root', '/orders', `${BASE_URL}/../../orders`],
  ['but for dots at the end', '/items/', `${BASE_URL}/items/orders/..`],
  ['with reserved characters', "/a;b=c,d/e:f@g/!$&'()*+", `${BASE_URL}/a;b=c,d/e:f@g/!$&'()*+`],
  ['with two slashes', '//orders//1', `${BASE_URL}//orders//1`],
  ['with a slash at the end', '/orders/', `${BASE_URL}/orders/`],
  ['with dots that are no segment', '/.well-known/a..b/...', `${BASE_URL}/.well-known/a..b/...`],
];

const OTHER: readonly [string, string, string][] = [
  ['a path above', '/orders/1', `${BASE_URL}/orders`],
  ['a path below', '/orders', `${BASE_URL}/orders/1`],
  ['a slash at the end', '/orders', `${BASE_URL}/orders/`],
  ['no slash at the end', '/orders/', `${BASE_URL}/orders`],
  ['another case', '/orders', `${BASE_URL}/Orders`],
  ['one slash for two', '//orders', `${BASE_URL}/orders`],
  ['two slashes for one', '/orders', `${BASE_URL}//orders`],
  ['a slash that is encoded', '/a/b', `${BASE_URL}/a%2Fb`],
  ['a slash that is not encoded', '/a%2Fb', `${BASE_URL}/a/b`],
  ['a reserved character that is encoded', '/a;b', `${BASE_URL}/a%3Bb`],
  ['what is encoded twice', '/%2561', `${BASE_URL}/%61`],
  ['a question mark that is encoded', '/orders', `${BASE_URL}/orders%3Fa=b`],
  ['a query in the place of the path', '/orders', `${BASE_URL}/?/orders`],
  ['a fragment in the place of the path', '/orders', `${BASE_URL}/#/orders`],
  ['dots that are left of a longer path', '/orders', `${BASE_URL}/orders/..`],
  ['a backslash', '/orders', `${BASE_URL}\\orders`],
  ['backslashes after the scheme', '/', 'https:\\\\api.example.com/'],
  ['one slash after the scheme', '/', 'https:/api.example.com/'],
  ['no slash after the scheme', '/', 'https:api.example.com/'],
  ['no host', '/', 'https:///api.example.com/'],
  ['no host and more slashes', '/', 'https:////api.example.com/'],
  ['a space before', '/', ` ${BASE_URL}/`],
  ['a space behind', '/', `${BASE_URL}/ `],
  ['a line break', '/', `${BASE_URL}/\n`],
  ['a tab in the host', '/', 'https://api.exam\tple.com/'],
  ['a line break in the path', '/orders', `${BASE_URL}/or\nders`],
  ['NUL', '/orders', `${BASE_URL}/orders\0`],
  ['a letter that is no URI’s', '/%C3%A9', `${BASE_URL}/é`],
  ['a host with dots of another script', '/', 'https://api。example.com/'],
  ['a host in letters of another width', '/', 'https://ａpi.example.com/'],
  ['a soft hyphen in the host', '/', 'https://api\u00ad.example.com/'],
  ['half a percent-encoding', '/orders', `${BASE_URL}/orders%`],
  ['percent-encoding of what is no byte', '/orders', `${BASE_URL}/orders%zz`],
  ['percent-encoding within percent-encoding', '/%26', `${BASE_URL}/%2%36`],
  ['a port that is none', '/', 'https://api.example.com:99999/'],
  ['a port that is no number', '/', 'https://api.example.com:x/'],
];

describe('the URI of a proof', () => {
  it.each(SAME)('is that of the request %s: %s, %s', async (_, path, htu) => {
    const app = serveDpop(scene.issuer);
    expect(await statusOf(app, path, htu)).toBe(200);
  });

  it.each(OTHER)('is not that of the request with %s: %j, %j', async (_, path, htu) => {
    const app = serveDpop(scene.issuer);
    expect(await statusOf(app, path, htu)).toBe(401);
    expect(await statusOf(app, path, `${BASE_URL}${path}`)).toBe(200);
  });

  it('is that of the caller and not that of the router', async () => {
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
  ])('%s and a request for %s are %s', async (baseUrl, path, htu) => {
    const app = serve(dpopBearer(scene.issuer, 'required', { baseUrl }));
    expect(await statusOf(app, path, htu)).toBe(200);
    expect(await statusOf(app, path, `https://gateway.example.com/other`)).toBe(401);
  });

  it('counts alone, whatever the request says of its host', async () => {
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

  it('is told to nobody by a refusal', async () => {
    const app = serve(dpopBearer(scene.issuer, 'required', { baseUrl: 'https://hidden.example.com' }));
    const proof = await scene.prove();
    const sent = supertest(app).get('/').set('Authorization', `DPoP ${scene.token}`).set('DPoP', proof);
    const response = await expectProofRefused(app, sent, 'proof_uri_mismatch');
    expect(JSON.stringify([response.headers, response.body])).not.toContain('hidden');
    const good = await scene.prove({ claims: { htu: 'https://hidden.example.com/' } });
    await expectAdmitted(app, supertest(app).get('/').set('Authorization', `DPoP ${scene.token}`).set('DPoP', good));
  });
});

describe('two URIs', () => {
  it.each(SAME)('are the same %s, whichever is first: %s, %s', (_, path, htu) => {
    expect([isSameHttpUri(`${BASE_URL}${path}`, htu), isSameHttpUri(htu, `${BASE_URL}${path}`)]).toEqual([true, true]);
  });

  it.each(['/%', '/%2', '/%zz', '/%2%36', '/%u0061', '/a%/b'])('are none with %s in it', (path) => {
    expect(isSameHttpUri(`${BASE_URL}${path}`, `${BASE_URL}${path}`)).toBe(false);
  });

  it.each([undefined, null, 1, {}, ['https://api.example.com/'], '', '/', 'urn:x', 'file:///x', 'data:,x'])(
    'are not the same where both are %j',
    (value) => {
      expect(isSameHttpUri(value, value)).toBe(false);
    },
  );
});
