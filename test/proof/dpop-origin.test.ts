import { describe, expect, it } from '@jest/globals';
import express5 from 'express';
import express4 from 'express4';
import { getAuth, InvalidDpopProofError, jwtBearer } from '../../lib/index.js';
import { challengeOn, createScene } from '../support/dpop.js';
import { getExactly, listen, type RawAnswer } from '../support/helpers.js';

// One type for both versions: the parts that the tests use are the same.
const VERSIONS = [
  { version: 4, express: express4 as unknown as typeof express5 },
  { version: 5, express: express5 },
];

const scene = createScene();

/** An API without baseUrl: it reads the host from the request. */
async function start(express: typeof express5, trustProxy: unknown = false) {
  let runs = 0;
  const app = express();
  app.set('trust proxy', trustProxy);
  const { url, audience } = scene.issuer;
  app.use(jwtBearer({ issuer: url, audience, dpop: 'required' }), (req, res) => {
    runs++;
    res.json(getAuth(req).scheme);
  });
  const port = await listen(app);
  const send = async (htu: string, fields: readonly string[], path = '/'): Promise<RawAnswer> => {
    const proof = await scene.prove({ claims: { htu } });
    return getExactly(port, [...fields, 'Authorization', `DPoP ${scene.token}`, 'DPoP', proof], { path });
  };
  return { port, origin: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}`, send, runs: () => runs };
}

function expectOtherUri(response: RawAnswer): void {
  const { code = '', message } = new InvalidDpopProofError('proof_uri_mismatch');
  expect([response.status, JSON.parse(response.body)]).toEqual([401, { error: code, error_description: message }]);
  expect(challengeOn('DPoP', response)).toMatchObject({ error: code });
}

describe.each(VERSIONS)('the origin of a request with Express $version', ({ express }) => {
  it('comes from the Host field', async () => {
    const api = await start(express);
    expect((await api.send(`${api.origin}/`, ['Host', api.host])).status).toBe(200);
    expect((await api.send('http://name.example:81/', ['Host', 'name.example:81'])).status).toBe(200);
    expect((await api.send('http://name.example/', ['Host', 'NAME.example:80'])).status).toBe(200);
    expect((await api.send('http://[::1]:81/', ['Host', '[::1]:81'])).status).toBe(200);
    expectOtherUri(await api.send(`https://127.0.0.1:${api.port}/`, ['Host', api.host]));
    expectOtherUri(await api.send(`${api.origin}/`, ['Host', 'name.example']));
  });

  it.each<[string, string, string[]]>([
    ['both', 'https://api.example.com/', ['X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'api.example.com']],
    [
      'a port',
      'https://api.example.com:8443/',
      ['X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'api.example.com:8443'],
    ],
    [
      'several values, the first of which the caller sent',
      'https://api.example.com/',
      ['X-Forwarded-Proto', 'https,http', 'X-Forwarded-Host', 'api.example.com, inner.example'],
    ],
    ['only the protocol', 'https://127.0.0.1/', ['X-Forwarded-Proto', 'https']],
    ['only the host', 'http://api.example.com/', ['X-Forwarded-Host', 'api.example.com']],
  ])('comes from a trusted proxy: %s', async (_, htu, forwarded) => {
    const fields = ['Host', '127.0.0.1', ...forwarded];
    const trusting = await start(express, true);
    expect((await trusting.send(htu, fields)).status).toBe(200);
    expectOtherUri(await trusting.send('http://127.0.0.1/', fields));
    // The fields of other proxies are ignored.
    for (const trustProxy of [false, '10.0.0.1']) {
      const other = await start(express, trustProxy);
      expectOtherUri(await other.send(htu, fields));
      expect((await other.send('http://127.0.0.1/', fields)).status).toBe(200);
    }
  });

  it.each([
    ['X-Forwarded-Host', 'user@127.0.0.1'],
    ['X-Forwarded-Host', '127.0.0.1/path'],
    ['X-Forwarded-Host', '127.0.0.1?x'],
    ['X-Forwarded-Host', '127.0.0.1#x'],
    ['X-Forwarded-Host', '127.0.0.1\\x'],
    ['X-Forwarded-Host', ' , 127.0.0.1'],
    ['X-Forwarded-Proto', 'javascript'],
    ['X-Forwarded-Proto', 'http://127.0.0.1/?'],
    ['X-Forwarded-Proto', 'HTTP:'],
  ])('is unknown if a trusted proxy sends %s: %s', async (name, value) => {
    const api = await start(express, true);
    const fields = ['Host', '127.0.0.1'];
    const repeated = name === 'X-Forwarded-Host' ? `http://${value}/` : `${value}://127.0.0.1/`;
    for (const htu of ['http://127.0.0.1/', repeated]) {
      expectOtherUri(await api.send(htu, [...fields, name, value]));
    }
    expect([(await api.send('http://127.0.0.1/', fields)).status, api.runs()]).toEqual([200, 1]);
  });

  it.each<[string, (host: string) => string]>([
    ['a user', (host) => `user@${host}`],
    ['an empty user', (host) => `@${host}`],
    ['a user and a password', (host) => `user:pass@${host}`],
    ['a path', (host) => `${host}/path`],
    ['an empty path', (host) => `${host}/`],
    ['a query', (host) => `${host}?x`],
    ['a fragment', (host) => `${host}#x`],
    ['a backslash', (host) => `${host}\\`],
    ['a backslash and another host', (host) => `evil.example\\@${host}`],
    ['nothing', () => ''],
    ['a comma', (host) => `${host},${host}`],
    ['a space', (host) => `${host} ${host}`],
    ['a tab', (host) => `${host}\tx`],
    ['a scheme', (host) => `http://${host}`],
    ['a port that is not a number', () => '127.0.0.1:x'],
    ['a port that is too long', () => '127.0.0.1:000080'],
    ['two ports', (host) => `${host}:80`],
    ['only one bracket', () => '[::1'],
    ['percent-encoding', (host) => host.replace('.', '%2E')],
    ['a byte that is not ASCII', (host) => `\u00e9.${host}`],
    ['only a port', () => ':80'],
  ])('is unknown if the Host field has %s', async (_, change) => {
    const api = await start(express);
    const host = change(api.host);
    for (const htu of [`${api.origin}/`, `http://${host}/`, `http://${host}`]) {
      expectOtherUri(await api.send(htu, ['Host', host]));
    }
    expect([(await api.send(`${api.origin}/`, ['Host', api.host])).status, api.runs()]).toEqual([200, 1]);
  });

  it('is unknown if there are several Host fields', async () => {
    const api = await start(express);
    const others = ['Host', api.host, 'Host', 'evil.example'];
    for (const fields of [others, ['Host', api.host, 'host', api.host], [...others.slice(2), ...others.slice(0, 2)]]) {
      for (const htu of [`${api.origin}/`, 'http://evil.example/']) {
        const response = await api.send(htu, fields);
        expect([400, 401]).toContain(response.status);
      }
    }
    expect([(await api.send(`${api.origin}/`, ['Host', api.host])).status, api.runs()]).toEqual([200, 1]);
  });
});

describe.each(VERSIONS)('the target of a request with Express $version', ({ express }) => {
  it.each([
    '/a/../orders',
    '/./orders',
    '/orders/.',
    '/orders/..',
    '/..',
    '/a/%2e%2e/orders',
    '/a/%2E./orders',
    '/a/.%2e/orders',
    '/%2e/orders',
    '/orders/%2E?a=b',
    '/orders#',
    '/orders#part',
    '/#/orders',
    '//a@b/orders#',
    '/orders?a=b#part',
    '/%2%36',
    '/orders%',
    '*',
  ])('is rejected: %s', async (path) => {
    const api = await start(express);
    const resolved = new URL(path, `${api.origin}/`).href;
    for (const htu of [resolved, `${api.origin}${path}`, `${api.origin}/orders`, `${api.origin}/`]) {
      expectOtherUri(await api.send(htu, ['Host', api.host], path));
    }
    expect((await api.send(`${api.origin}/orders`, ['Host', api.host], '/orders?a=/../b')).status).toBe(200);
  });

  it.each([
    ['/orders?a=b', '/orders'],
    ['/?a=b', '/'],
    ['?a=b', '/'],
    ['', '/'],
    ['/', '/'],
  ])('can have the absolute form: %j after the origin', async (target, path) => {
    const api = await start(express);
    const send = (htu: string): Promise<RawAnswer> => api.send(htu, ['Host', api.host], `${api.origin}${target}`);
    expect((await send(`${api.origin}${path}`)).status).toBe(200);
    expect((await send(`HTTP://127.0.0.1:${api.port}${path}?c=d`)).status).toBe(200);
    expectOtherUri(await send(`${api.origin}/other`));
  });

  it('in absolute form has the host, and the Host field is ignored (RFC 9112 §3.2.2)', async () => {
    const api = await start(express);
    const send = (htu: string): Promise<RawAnswer> =>
      api.send(htu, ['Host', api.host], 'http://name.example:81/orders');
    expect((await send('http://name.example:81/orders')).status).toBe(200);
    expectOtherUri(await send(`${api.origin}/orders`));
  });

  it.each(['name.example:b', 'a@name.example', 'name%2Eexample', 'name;example', "name'example", '', '[::1', 'a,b'])(
    'is rejected with the host %j',
    async (host) => {
      const api = await start(express);
      const target = `http://${host}/orders`;
      for (const htu of [`${api.origin}/orders`, target, `http://name.example/orders`]) {
        const response = await api.send(htu, ['Host', api.host], target);
        // Express itself responds 404 to some of them, before any middleware.
        if (response.status !== 404) expectOtherUri(response);
      }
      expect(api.runs()).toBe(0);
    },
  );

  it('is rejected with dot segments in absolute form, too', async () => {
    const api = await start(express);
    expectOtherUri(await api.send(`${api.origin}/b`, ['Host', api.host], `${api.origin}/a/../b`));
    expect((await api.send(`${api.origin}/b`, ['Host', api.host], `${api.origin}/b`)).status).toBe(200);
  });
});
