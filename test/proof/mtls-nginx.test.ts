import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { jwtBearer, type JwtBearerOptions } from '../../lib/index.js';
import { TestIssuer } from '../../lib/testing/issuer.js';
import { makeCertificate, type TestCertificate } from '../support/certificates.js';
import { DpopClient } from '../support/dpop.js';
import { listen, serve } from '../support/helpers.js';
import { describeWithNginx, Nginx } from '../support/nginx.js';
import { getTls } from '../support/tls.js';

describeWithNginx('behind nginx, which terminates TLS', () => {
  let issuer: TestIssuer;
  let own: TestCertificate;
  let other: TestCertificate;
  let token: string;
  const started: Nginx[] = [];

  beforeAll(async () => {
    issuer = await TestIssuer.start();
    own = makeCertificate('client');
    other = makeCertificate('thief');
    token = await issuer.issue({ cnf: { 'x5t#S256': own.thumbprint } });
  });

  afterAll(async () => {
    await Promise.all(started.map((nginx) => nginx.stop()));
    await issuer.close();
  });

  async function start(options: Partial<JwtBearerOptions>, location: string, trustProxy = false): Promise<number> {
    const app = serve(jwtBearer({ issuer: issuer.url, audience: issuer.audience, ...options }));
    app.set('trust proxy', trustProxy ? 'loopback' : false);
    const nginx = await Nginx.start(makeCertificate('server'), await listen(app), location);
    started.push(nginx);
    return nginx.port;
  }

  const withCertificate = (): Promise<number> =>
    start(
      { mtls: { mode: 'required', certificate: { header: 'X-Client-Cert', format: 'nginx' } } },
      'proxy_set_header X-Client-Cert $ssl_client_escaped_cert;',
    );

  it('accepts a token with the certificate that it is bound to', async () => {
    const port = await withCertificate();
    expect((await getTls(port, { token, certificate: own })).status).toBe(200);
  });

  it.each<[string, () => TestCertificate | undefined]>([
    ['with another certificate', () => other],
    ['without a certificate', () => undefined],
  ])('rejects a token %s, also with a forged header of the client', async (_what, certificate) => {
    const port = await withCertificate();
    const forged = { 'X-Client-Cert': encodeURIComponent(own.cert) };
    const responses = [
      await getTls(port, { token, certificate: certificate() }),
      await getTls(port, { token, certificate: certificate(), headers: forged }),
    ];
    expect(responses.map(({ status }) => status)).toEqual([401, 401]);
  });

  it.each<[string, string | undefined]>([
    ['the forwarded fields of nginx', undefined],
    ['baseUrl', 'https://api.example.com'],
  ])('compares a DPoP proof with the URL that the client used, by %s', async (_what, baseUrl) => {
    const client = await DpopClient.make();
    const forwarded = 'proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;';
    const own = baseUrl === undefined ? {} : { baseUrl };
    const port = await start({ dpop: 'required', ...own }, forwarded, baseUrl === undefined);
    const bound = await issuer.issue({ cnf: client.cnf });
    const send = async (htu: string) => {
      const headers = { DPoP: await client.prove(bound, { claims: { htu } }) };
      return getTls(port, { token: bound, scheme: 'DPoP', path: '/orders?limit=1', headers });
    };
    expect((await send(`${baseUrl ?? `https://127.0.0.1:${port}`}/orders`)).status).toBe(200);
    expect((await send(`http://127.0.0.1:${port}/orders`)).status).toBe(401);
  });
});
