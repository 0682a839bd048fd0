import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type ClientCertificate,
  ConfigurationError,
  InvalidTokenError,
  type InvalidTokenReason,
  jwtBearer,
  type Middleware,
  UpstreamError,
} from '../lib/index.js';
import { TestIssuer } from '../lib/testing/issuer.js';
import { makeCertificate, type TestCertificate } from './certificates.js';
import { expectHandedOver, expectInvalidToken, expectUnavailable, get, serve } from './helpers.js';

let issuer: TestIssuer;
let own: TestCertificate;
let other: TestCertificate;
let token: string;

beforeAll(async () => {
  issuer = await TestIssuer.start();
  own = makeCertificate('client');
  other = makeCertificate('thief');
  token = await issuer.issue({ cnf: { 'x5t#S256': own.thumbprint } });
});

afterAll(() => issuer.close());

/** One block of PEM around the base64 of both. */
const pemOf = (one: TestCertificate, between: string, another: TestCertificate): string =>
  [
    '-----BEGIN CERTIFICATE-----',
    `${one.der.toString('base64')}${between}${another.der.toString('base64')}`,
    '-----END CERTIFICATE-----\n',
  ].join('\n');

type Given = ClientCertificate | Promise<ClientCertificate>;

function behind(certificate: (cert: string | undefined) => Given): Middleware {
  return jwtBearer({
    issuer: issuer.url,
    audience: issuer.audience,
    mtls: { mode: 'allowed', certificate: (req) => certificate(req.get('x-who')) },
  });
}

describe('a function that gives the certificate', () => {
  it.each<[string, () => Given]>([
    ['PEM', () => own.cert],
    ['PEM, later', () => Promise.resolve(own.cert)],
    ['DER', () => own.der],
    ['DER in plain bytes', () => Uint8Array.from(own.der)],
    ['DER, later', async () => Promise.resolve(own.der)],
  ])('may give %s', async (_what, give) => {
    expect((await get(serve(behind(give)), token)).status).toBe(200);
  });

  it('is asked about each request', async () => {
    const app = serve(behind((who) => (who === 'own' ? own.cert : other.cert)));
    const statuses: number[] = [];
    for (const who of ['own', 'other', 'own']) statuses.push((await get(app, token).set('X-Who', who)).status);
    expect(statuses).toEqual([200, 401, 200]);
  });

  it('is not asked about tokens that are not bound', async () => {
    const app = serve(behind(() => Promise.reject(new Error('asked'))));
    expect((await get(app, await issuer.issue())).status).toBe(200);
  });

  it.each<[string, () => unknown, InvalidTokenReason]>([
    ['undefined', () => undefined, 'certificate_missing'],
    ['null', () => null, 'certificate_missing'],
    ['null, later', () => Promise.resolve(null), 'certificate_missing'],
    ['an empty string', () => '', 'certificate_missing'],
    ['no bytes', () => new Uint8Array(0), 'certificate_missing'],
    ['the certificate of another', () => other.der, 'binding_mismatch'],
    ['text', () => 'certificate', 'certificate_malformed'],
    ['bytes', () => Buffer.from('certificate'), 'certificate_malformed'],
    ['the key', () => own.key, 'certificate_malformed'],
    ['two certificates', () => own.cert + other.cert, 'certificate_malformed'],
    ['two certificates in bytes', () => Buffer.from(own.cert + other.cert), 'certificate_malformed'],
    ['a certificate and more', () => Buffer.concat([own.der, own.der]), 'certificate_malformed'],
    ['base64 that goes on after its end', () => pemOf(own, '====', other), 'certificate_malformed'],
    ['half a certificate', () => own.der.subarray(0, 100), 'certificate_malformed'],
  ])('that gives %s is no proof', async (_what, give, reason) => {
    await expectInvalidToken(serve(behind(give as () => Given)), token, reason);
  });

  it.each<[string, () => unknown]>([
    ['a number', () => 1],
    ['an object', () => ({ raw: own.der })],
    ['an X509Certificate', () => new X509Certificate(own.der)],
    ['an empty array', () => []],
    ['something of no length', () => ({ length: 0 })],
    ['a function', () => () => own.der],
    ['true, later', () => Promise.resolve(true)],
  ])("that gives %s is the programmer's mistake", async (_what, give) => {
    const error = await expectHandedOver(token, behind(give as () => Given));
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error).toMatchObject({ reason: 'verifier_invalid', option: 'bearer: result of mtls.certificate' });
  });

  it.each<[string, (error: Error) => Given]>([
    [
      'throws',
      (error) => {
        throw error;
      },
    ],
    ['rejects', (error) => Promise.reject(error)],
  ])('that %s hands its error to the application', async (_what, fail) => {
    const failure = new Error('broken');
    expect(
      await expectHandedOver(
        token,
        behind(() => fail(failure)),
      ),
    ).toBe(failure);
  });

  it('that cannot tell at the moment is 503', async () => {
    const app = serve(behind(() => Promise.reject(new UpstreamError('store_unavailable', 7))));
    const response = await expectUnavailable(app, token, 'store_unavailable');
    expect(response.headers['retry-after']).toBe('7');
  });

  it('that refuses the token itself is heard', async () => {
    await expectInvalidToken(
      serve(behind(() => Promise.reject(new InvalidTokenError('certificate_missing')))),
      token,
      'certificate_missing',
    );
  });
});

describe('the options of mtls', () => {
  const make = (mtls: unknown) => () =>
    Reflect.apply(jwtBearer, undefined, [{ issuer: issuer.url, audience: issuer.audience, mtls }]) as unknown;

  it.each<[string, unknown, string]>([
    ['a mode that is none', 'on', 'mtls'],
    ['true', true, 'mtls'],
    ['no mode', { certificate: 'socket' }, 'mtls'],
    ['a mode that is none, with details', { mode: 'requried' }, 'mtls: mode'],
    ['a place that is none', { mode: 'allowed', certificate: 'header' }, 'mtls: certificate'],
    ['no format', { mode: 'allowed', certificate: { header: 'X-Cert' } }, 'mtls: certificate'],
    ['a format that is none', { mode: 'allowed', certificate: { header: 'X-Cert', format: 'pem' } }, 'format'],
    ['the format nginx without a header', { mode: 'allowed', certificate: { format: 'nginx' } }, 'mtls: certificate'],
    ['a header that is no name', { mode: 'allowed', certificate: { header: 'X Cert', format: 'nginx' } }, 'header'],
    ['an empty header', { mode: 'allowed', certificate: { header: '', format: 'aws' } }, 'header'],
  ])('may not be %s', (_what, mtls, option) => {
    expect(make(mtls)).toThrow(ConfigurationError);
    expect(make(mtls)).toThrow(new RegExp(`^(jwtBearer|bearer): .*${option}.*: expected `));
  });

  it('have the next name for one that is misspelled', () => {
    expect(make({ mode: 'allowed', certficate: 'socket' })).toThrow('Did you mean certificate?');
    expect(make({ mode: 'allowed', certificate: { fromat: 'aws' } })).toThrow('Did you mean format?');
  });
});
