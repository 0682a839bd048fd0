import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer } from 'node:https';
import { describe, expect, it } from '@jest/globals';
import { bearer, getAuth, jwtVerifier, type Middleware } from '../../lib/index.js';
import { makeCertificate } from '../support/certificates.js';
import { BASE_URL, createScene } from '../support/dpop.js';
import { getExactly, getRaw, open, type RawAnswer } from '../support/helpers.js';
import { getTls } from '../support/tls.js';

const scene = createScene();

function middlewareFor(baseUrl?: string): Middleware {
  const { url: issuer, audience } = scene.issuer;
  return bearer(jwtVerifier({ issuer, audience }), { dpop: 'required', baseUrl });
}

/** Starts a server without Express; `change` modifies the request as another framework would. */
function serve(middleware: Middleware, change: (req: object) => void = () => undefined): Promise<number> {
  const server = createServer((req, res) => {
    change(req);
    middleware(req, res, (error) => {
      res.statusCode = error === undefined ? 200 : 500;
      res.end(error === undefined ? getAuth(req).scheme : 'error');
    });
  });
  return open(server);
}

async function send(port: number, htu: string, path = '/', fields: readonly string[] = []): Promise<RawAnswer> {
  const proof = await scene.prove({ claims: { htu } });
  return getRaw(port, ['Authorization', `DPoP ${scene.token}`, 'DPoP', proof, ...fields], { path });
}

describe('DPoP on a plain node:http request (Socket.IO, connect)', () => {
  it('compares the proof with baseUrl and the path', async () => {
    const port = await serve(middlewareFor(BASE_URL));
    const accepted = await send(port, `${BASE_URL}/orders`, '/orders?a=b');
    expect([accepted.status, accepted.body]).toEqual([200, 'DPoP']);
    expect((await send(port, `${BASE_URL}/other`, '/orders')).status).toBe(401);
  });

  it('reads protocol and host from the request without baseUrl', async () => {
    const port = await serve(middlewareFor());
    expect((await send(port, `http://127.0.0.1:${port}/orders`, '/orders')).status).toBe(200);
    for (const htu of [`https://127.0.0.1:${port}/orders`, `${BASE_URL}/orders`]) {
      expect((await send(port, htu, '/orders')).status).toBe(401);
    }
  });

  it('ignores forwarded fields, because no setting says that a proxy is trusted', async () => {
    const port = await serve(middlewareFor(), (req) => Object.assign(req, { app: {} }));
    const fields = ['X-Forwarded-Host', 'api.example.com', 'X-Forwarded-Proto', 'https'];
    expect((await send(port, `${BASE_URL}/`, '/', fields)).status).toBe(401);
    expect((await send(port, `http://127.0.0.1:${port}/`, '/', fields)).status).toBe(200);
  });

  it('uses originalUrl if the framework has changed url, as connect does', async () => {
    const port = await serve(middlewareFor(BASE_URL), (req) =>
      Object.assign(req, { originalUrl: '/api/orders', url: '/orders' }),
    );
    expect((await send(port, `${BASE_URL}/api/orders`)).status).toBe(200);
    expect((await send(port, `${BASE_URL}/orders`)).status).toBe(401);
  });

  it('reads the host of an HTTP/2 request from its authority, whatever its Host field is', async () => {
    const middleware = middlewareFor();
    const server = createHttp2Server((req, res) => {
      // The compatibility API of Node has the same members.
      middleware(req as unknown as IncomingMessage, res as unknown as ServerResponse, () => {
        res.end('accepted');
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const session = connect(`http://127.0.0.1:${port}`);
    const statusFor = async (origin: string, fields: object = {}): Promise<unknown> => {
      const proof = await scene.prove({ claims: { htu: `${origin}/orders` } });
      const path = { ':path': '/orders?a=b' };
      const stream = session.request({ ...path, ...fields, authorization: `DPoP ${scene.token}`, dpop: proof });
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
      stream.resume();
      return headers[':status'];
    };
    const statuses = [
      await statusFor(`http://127.0.0.1:${port}`),
      await statusFor('http://other.example.com'),
      await statusFor('http://other.example.com', { ':authority': `127.0.0.1:${port}`, host: 'other.example.com' }),
    ];
    session.destroy();
    server.close();
    expect(statuses).toEqual([200, 401, 401]);
  });

  it('is https on a TLS server', async () => {
    const middleware = middlewareFor();
    const { key, cert } = makeCertificate('server');
    const server = createTlsServer({ key, cert }, (req, res) => {
      middleware(req, res, (error) => {
        res.writeHead(error === undefined ? 200 : 500, { 'Content-Type': 'application/json' }).end('{}');
      });
    });
    const port = await open(server);
    const request = async (htu: string): Promise<number> => {
      const headers = { DPoP: await scene.prove({ claims: { htu } }) };
      return (await getTls(port, { token: scene.token, scheme: 'DPoP', headers })).status;
    };
    expect(await request(`https://127.0.0.1:${port}/`)).toBe(200);
    expect(await request(`http://127.0.0.1:${port}/`)).toBe(401);
  });

  it.each([
    ['a path with dot segments', '/a/../orders', 'Host'],
    ['a Host field with a user', '/orders', 'user@127.0.0.1'],
    ['an asterisk', '*', 'Host'],
  ])('rejects %s', async (_, path, host) => {
    const port = await serve(middlewareFor());
    const origin = `127.0.0.1:${port}`;
    const proof = await scene.prove({ claims: { htu: `http://${origin}/orders` } });
    const fields = ['Host', host === 'Host' ? origin : host, 'Authorization', `DPoP ${scene.token}`, 'DPoP', proof];
    expect((await getExactly(port, fields, { path })).status).toBe(401);
  });
});
