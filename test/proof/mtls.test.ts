import { createHash, X509Certificate } from 'node:crypto';
import { Agent } from 'node:https';
import { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import {
  introspectionBearer,
  type JwtBearerOptions,
  InvalidTokenError,
  type InvalidTokenReason,
} from '../../lib/index.js';
import { TestIssuer } from '../../lib/testing/issuer.js';
import { makeCertificate, type TestCertificate } from '../support/certificates.js';
import { challengesOf, get, handled, serve, serveFor } from '../support/helpers.js';
import { optionsFor } from '../support/introspection.js';
import { getTls, listenTls, type TlsAnswer } from '../support/tls.js';

let issuer: TestIssuer;
let server: TestCertificate;
let own: TestCertificate;
let other: TestCertificate;

beforeAll(async () => {
  issuer = await TestIssuer.start();
  server = makeCertificate('server');
  own = makeCertificate('client');
  other = makeCertificate('thief');
});

afterAll(() => issuer.close());

const boundTo = (thumbprint: unknown): Promise<string> => issuer.issue({ cnf: { 'x5t#S256': thumbprint } });

/** A TLS server that accepts the tokens of the issuer. */
function listen(options: Partial<JwtBearerOptions> = {}): Promise<number> {
  return listenTls(serveFor(issuer, { mtls: 'allowed', ...options }), server);
}

function expectRejection(response: Pick<TlsAnswer, 'status' | 'body' | 'headers'>, reason: InvalidTokenReason): void {
  const { message } = new InvalidTokenError(reason);
  expect({ status: response.status, body: response.body }).toEqual({
    status: 401,
    body: { error: 'invalid_token', error_description: message },
  });
  expect(challengesOf(response)).toEqual([
    { scheme: 'Bearer', parameters: { error: 'invalid_token', error_description: message } },
  ]);
}

describe('a certificate-bound token', () => {
  it.each([['allowed'], ['required']] as const)(
    'is accepted on a connection with that certificate: %s',
    async (mtls) => {
      const port = await listen({ mtls });
      const token = await boundTo(own.thumbprint);
      const statuses = [
        await getTls(port, { token, certificate: own }),
        await getTls(port, { token, certificate: own }),
      ];
      expect(statuses.map(({ status }) => status)).toEqual([200, 200]);
    },
  );

  it('can be opaque, with cnf in the introspection response (§3.2)', async () => {
    const app = serve(introspectionBearer({ ...optionsFor(issuer), mtls: 'required' }));
    const port = await listenTls(app, server);
    const token = issuer.introspection.issue({ cnf: { 'x5t#S256': own.thumbprint } });
    expect((await getTls(port, { token, certificate: own })).status).toBe(200);
    expectRejection(await getTls(port, { token, certificate: other }), 'binding_mismatch');
    expectRejection(await getTls(port, { token }), 'certificate_missing');
  });

  it.each<[string, () => TestCertificate]>([
    ['has expired', () => makeCertificate('old', { days: -1 })],
    ['is signed by an unknown authority', () => makeCertificate('ours', { signedBy: makeCertificate('ca') })],
    ['has an RSA key', () => makeCertificate('rsa', { keyType: 'rsa' })],
  ])('is accepted if the certificate %s, because only the binding is checked', async (_what, make) => {
    const certificate = make();
    const port = await listen();
    expect((await getTls(port, { token: await boundTo(certificate.thumbprint), certificate })).status).toBe(200);
  });

  it('is accepted with other members in cnf, which are ignored (RFC 7800 §3.1)', async () => {
    const port = await listen();
    const token = await issuer.issue({ cnf: { 'x5t#S256': own.thumbprint, 'x5t#S512': 'x', kid: 'y' } });
    expect((await getTls(port, { token, certificate: own })).status).toBe(200);
  });
});

/** The sentences of RFC 8705: the binding of the token, the certificate of the client, the expected reason. */
const REJECTED: readonly (readonly [
  sentence: string,
  options: Partial<JwtBearerOptions>,
  cnf: () => Record<string, unknown> | undefined,
  certificate: () => TestCertificate | undefined,
  reason: InvalidTokenReason,
])[] = [
  [
    '§3: the certificate used for mutual TLS is obtained from the TLS layer',
    {},
    () => cnfOf(own.thumbprint),
    () => undefined,
    'certificate_missing',
  ],
  [
    '§3: the certificate must match the thumbprint in the token',
    {},
    () => cnfOf(own.thumbprint),
    () => other,
    'binding_mismatch',
  ],
  [
    '§3: another certificate with the same name does not match',
    {},
    () => cnfOf(own.thumbprint),
    () => makeCertificate('client'),
    'binding_mismatch',
  ],
  [
    '§3.1: the thumbprint is in base64url without padding',
    {},
    () => cnfOf(`${own.thumbprint}=`),
    () => own,
    'binding_mismatch',
  ],
  ['§3.1: and not in base64', {}, () => cnfOf(sha256(own.der).toString('base64')), () => own, 'binding_mismatch'],
  ['§3.1: and not in hexadecimal', {}, () => cnfOf(sha256(own.der).toString('hex')), () => own, 'binding_mismatch'],
  ['§3.1: without line breaks or white space', {}, () => cnfOf(` ${own.thumbprint}`), () => own, 'binding_mismatch'],
  [
    '§3.1: it is a SHA-256',
    {},
    () => cnfOf(createHash('sha1').update(own.der).digest('base64url')),
    () => own,
    'binding_mismatch',
  ],
  [
    '§3.1: of the DER and not of the PEM',
    {},
    () => cnfOf(sha256(own.cert).toString('base64url')),
    () => own,
    'binding_mismatch',
  ],
  [
    '§3.1: of the certificate and not of its key',
    {},
    () => cnfOf(sha256(publicKeyOf(own)).toString('base64url')),
    () => own,
    'binding_mismatch',
  ],
  ['§3.1: x5t#S256 is a string', {}, () => cnfOf([own.thumbprint]), () => own, 'claim_malformed'],
  [
    'a bound token is never a bearer token',
    { mtls: 'off' },
    () => cnfOf(own.thumbprint),
    () => own,
    'binding_unproven',
  ],
  ['with mtls required, a token must be bound', { mtls: 'required' }, () => undefined, () => own, 'binding_missing'],
  [
    'a DPoP binding does not replace a certificate binding',
    { mtls: 'required' },
    () => ({ jkt: own.thumbprint }),
    () => own,
    'binding_unproven',
  ],
  [
    'two bindings need two proofs',
    {},
    () => ({ jkt: own.thumbprint, ...cnfOf(own.thumbprint) }),
    () => own,
    'binding_unproven',
  ],
];

const cnfOf = (thumbprint: unknown): Record<string, unknown> => ({ 'x5t#S256': thumbprint });
const sha256 = (data: string | Buffer): Buffer => createHash('sha256').update(data).digest();
const publicKeyOf = ({ der }: TestCertificate): Buffer =>
  new X509Certificate(der).publicKey.export({ format: 'der', type: 'spki' });

describe('a request is rejected with 401 invalid_token (§3)', () => {
  it.each(REJECTED)('%s', async (_sentence, options, cnf, certificate, reason) => {
    const app = serveFor(issuer, { mtls: 'allowed', ...options });
    const port = await listenTls(app, server);
    const confirmation = cnf();
    const token = await issuer.issue(confirmation === undefined ? {} : { cnf: confirmation });
    expectRejection(await getTls(port, { token, certificate: certificate() }), reason);
    expect(handled(app)).toBe(0);
  });

  it('on a connection without TLS', async () => {
    const response = await get(serveFor(issuer, { mtls: 'allowed' }), await boundTo(own.thumbprint));
    expectRejection(response, 'certificate_missing');
  });

  it('also if the token is cached', async () => {
    const port = await listen();
    const token = await boundTo(own.thumbprint);
    expect((await getTls(port, { token, certificate: own })).status).toBe(200);
    expectRejection(await getTls(port, { token, certificate: other }), 'binding_mismatch');
    expectRejection(await getTls(port, { token }), 'certificate_missing');
    expect((await getTls(port, { token, certificate: own })).status).toBe(200);
  });

  it('also with forged header fields', async () => {
    const port = await listen();
    const headers = { 'client-cert': `:${own.der.toString('base64')}:`, 'x-client-cert': encodeURIComponent(own.cert) };
    expectRejection(await getTls(port, { token: await boundTo(own.thumbprint), headers }), 'certificate_missing');
  });
});

describe('TLS connections', () => {
  it('have their own certificate for all their requests', async () => {
    const port = await listen();
    const [mine, theirs] = [
      new Agent({ keepAlive: true, maxSockets: 1 }),
      new Agent({ keepAlive: true, maxSockets: 1 }),
    ];
    const token = await boundTo(own.thumbprint);
    const statuses: number[] = [];
    for (let i = 0; i < 2; i++) {
      statuses.push((await getTls(port, { token, certificate: own, agent: mine })).status);
      statuses.push((await getTls(port, { token, certificate: other, agent: theirs })).status);
    }
    mine.destroy();
    theirs.destroy();
    expect(statuses).toEqual([200, 401, 200, 401]);
  });

  it('can change their certificate in a renegotiation (RFC 5246 §7.4.1): the current one is used', async () => {
    const port = await listen();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const [mine, theirs] = [await boundTo(own.thumbprint), await boundTo(other.thumbprint)];
    const send = async (token: string): Promise<number> =>
      (await getTls(port, { token, certificate: own, agent, maxVersion: 'TLSv1.2' })).status;
    const before = [await send(mine), await send(theirs)];
    // Node's client always sends the same certificate.
    const peer = jest.spyOn(TLSSocket.prototype, 'getPeerX509Certificate');
    peer.mockReturnValue(new X509Certificate(other.der));
    const after = [await send(mine), await send(theirs)];
    peer.mockRestore();
    agent.destroy();
    expect([before, after]).toEqual([
      [200, 401],
      [401, 200],
    ]);
  });

  it.each([['TLSv1.2'], ['TLSv1.3']] as const)('that resume a session have its certificate: %s', async (maxVersion) => {
    const port = await listen();
    // The agent closes each connection and caches the session.
    const agent = new Agent({ keepAlive: false, maxCachedSessions: 10 });
    const token = await boundTo(own.thumbprint);
    const responses: TlsAnswer[] = [];
    for (let i = 0; i < 3; i++) responses.push(await getTls(port, { token, certificate: own, agent, maxVersion }));
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(responses.at(-1)?.isResumed).toBe(true);
  });

  it('do not need a certificate for unbound tokens', async () => {
    const port = await listen();
    expect((await getTls(port, { token: await issuer.issue() })).status).toBe(200);
  });
});
