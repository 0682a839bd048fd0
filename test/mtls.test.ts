import { createHash, X509Certificate } from 'node:crypto';
import { Agent } from 'node:https';
import { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import {
  introspectionBearer,
  type JwtBearerOptions,
  InvalidTokenError,
  type InvalidTokenReason,
} from '../lib/index.js';
import { TestIssuer } from '../lib/testing/issuer.js';
import { makeCertificate, type TestCertificate } from './certificates.js';
import { challengesOf, get, handled, serve, serveFor } from './helpers.js';
import { optionsFor } from './introspection.js';
import { getTls, listenTls, type TlsAnswer } from './tls.js';

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

/** A real server for the tokens of the issuer. */
function listen(options: Partial<JwtBearerOptions> = {}): Promise<number> {
  return listenTls(serveFor(issuer, { mtls: 'allowed', ...options }), server);
}

function expectRefusal(answer: Pick<TlsAnswer, 'status' | 'body' | 'headers'>, reason: InvalidTokenReason): void {
  const { message } = new InvalidTokenError(reason);
  expect({ status: answer.status, body: answer.body }).toEqual({
    status: 401,
    body: { error: 'invalid_token', error_description: message },
  });
  expect(challengesOf(answer)).toEqual([
    { scheme: 'Bearer', parameters: { error: 'invalid_token', error_description: message } },
  ]);
}

describe('a token that is bound to a certificate', () => {
  it.each([['allowed'], ['required']] as const)('passes over a connection with that certificate: %s', async (mtls) => {
    const port = await listen({ mtls });
    const token = await boundTo(own.thumbprint);
    const statuses = [await getTls(port, { token, certificate: own }), await getTls(port, { token, certificate: own })];
    expect(statuses.map(({ status }) => status)).toEqual([200, 200]);
  });

  it('passes where it is opaque, with cnf in the answer to the question about it (§3.2)', async () => {
    const app = serve(introspectionBearer({ ...optionsFor(issuer), mtls: 'required' }));
    const port = await listenTls(app, server);
    const token = issuer.introspection.issue({ cnf: { 'x5t#S256': own.thumbprint } });
    expect((await getTls(port, { token, certificate: own })).status).toBe(200);
    expectRefusal(await getTls(port, { token, certificate: other }), 'binding_mismatch');
    expectRefusal(await getTls(port, { token }), 'certificate_missing');
  });

  it.each<[string, () => TestCertificate]>([
    ['has expired', () => makeCertificate('old', { days: -1 })],
    ['is of an authority that nobody here knows', () => makeCertificate('ours', { signedBy: makeCertificate('ca') })],
    ['has an RSA key', () => makeCertificate('rsa', { keyType: 'rsa' })],
  ])('passes where the certificate %s: it is the binding that counts', async (_what, make) => {
    const certificate = make();
    const port = await listen();
    expect((await getTls(port, { token: await boundTo(certificate.thumbprint), certificate })).status).toBe(200);
  });

  it('passes with other members in its cnf, which bind nothing here', async () => {
    const port = await listen();
    const token = await issuer.issue({ cnf: { 'x5t#S256': own.thumbprint, 'x5t#S512': 'x', kid: 'y' } });
    expect((await getTls(port, { token, certificate: own })).status).toBe(200);
  });
});

/** RFC 8705, sentence by sentence: what a token is bound to, what the client shows, and what comes of it. */
const REFUSED: readonly (readonly [
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
    '§3: it is verified that it matches the one of the token',
    {},
    () => cnfOf(own.thumbprint),
    () => other,
    'binding_mismatch',
  ],
  [
    '§3: another certificate of the same name is another one',
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
  ['a token must be bound where that is required', { mtls: 'required' }, () => undefined, () => own, 'binding_missing'],
  [
    'being bound to a DPoP key is another binding',
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

describe('a request is refused with 401 invalid_token (§3)', () => {
  it.each(REFUSED)('%s', async (_sentence, options, cnf, certificate, reason) => {
    const app = serveFor(issuer, { mtls: 'allowed', ...options });
    const port = await listenTls(app, server);
    const confirmation = cnf();
    const token = await issuer.issue(confirmation === undefined ? {} : { cnf: confirmation });
    expectRefusal(await getTls(port, { token, certificate: certificate() }), reason);
    expect(handled(app)).toBe(0);
  });

  it('over a connection without TLS', async () => {
    const response = await get(serveFor(issuer, { mtls: 'allowed' }), await boundTo(own.thumbprint));
    expectRefusal(response, 'certificate_missing');
  });

  it('also where the token has passed before', async () => {
    const port = await listen();
    const token = await boundTo(own.thumbprint);
    expect((await getTls(port, { token, certificate: own })).status).toBe(200);
    expectRefusal(await getTls(port, { token, certificate: other }), 'binding_mismatch');
    expectRefusal(await getTls(port, { token }), 'certificate_missing');
    expect((await getTls(port, { token, certificate: own })).status).toBe(200);
  });

  it('whatever headers say of certificates', async () => {
    const port = await listen();
    const headers = { 'client-cert': `:${own.der.toString('base64')}:`, 'x-client-cert': encodeURIComponent(own.cert) };
    expectRefusal(await getTls(port, { token: await boundTo(own.thumbprint), headers }), 'certificate_missing');
  });
});

describe('connections', () => {
  it('keep their certificate for all their requests, and each its own', async () => {
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

  it('may change their certificate in a renegotiation (RFC 5246 §7.4.1): the one that they have counts', async () => {
    const port = await listen();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const [mine, theirs] = [await boundTo(own.thumbprint), await boundTo(other.thumbprint)];
    const ask = async (token: string): Promise<number> =>
      (await getTls(port, { token, certificate: own, agent, maxVersion: 'TLSv1.2' })).status;
    const before = [await ask(mine), await ask(theirs)];
    // Node's client shows the same certificate each time.
    const peer = jest.spyOn(TLSSocket.prototype, 'getPeerX509Certificate');
    peer.mockReturnValue(new X509Certificate(other.der));
    const after = [await ask(mine), await ask(theirs)];
    peer.mockRestore();
    agent.destroy();
    expect([before, after]).toEqual([
      [200, 401],
      [401, 200],
    ]);
  });

  it.each([['TLSv1.2'], ['TLSv1.3']] as const)(
    'that resume a session prove its certificate: %s',
    async (maxVersion) => {
      const port = await listen();
      // It closes each connection and keeps the session.
      const agent = new Agent({ keepAlive: false, maxCachedSessions: 10 });
      const token = await boundTo(own.thumbprint);
      const answers: TlsAnswer[] = [];
      for (let i = 0; i < 3; i++) answers.push(await getTls(port, { token, certificate: own, agent, maxVersion }));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      expect(answers.at(-1)?.isResumed).toBe(true);
    },
  );

  it('need no certificate for tokens that are not bound', async () => {
    const port = await listen();
    expect((await getTls(port, { token: await issuer.issue() })).status).toBe(200);
  });
});
