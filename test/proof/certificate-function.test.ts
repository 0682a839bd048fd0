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
} from '../../lib/index.js';
import { TestIssuer } from '../../lib/testing/issuer.js';
import { makeCertificate, type TestCertificate } from '../support/certificates.js';
import { expectHandedOver, expectInvalidToken, expectUnavailable, get, serve } from '../support/helpers.js';

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

/** One PEM block with the base64 of both certificates. */
const pemOf = (one: TestCertificate, between: string, another: TestCertificate): string =>
  [
    '-----BEGIN CERTIFICATE-----',
    `${one.der.toString('base64')}${between}${another.der.toString('base64')}`,
    '-----END CERTIFICATE-----\n',
  ].join('\n');

type ReturnedCertificate = ClientCertificate | Promise<ClientCertificate>;

function behind(certificate: (cert: string | undefined) => ReturnedCertificate): Middleware {
  return jwtBearer({
    issuer: issuer.url,
    audience: issuer.audience,
    mtls: { mode: 'allowed', certificate: (req) => certificate(req.get('x-who')) },
  });
}

describe('mtls.certificate as a function', () => {
  it.each<[string, () => ReturnedCertificate]>([
    ['PEM', () => own.cert],
    ['a promise of PEM', () => Promise.resolve(own.cert)],
    ['DER', () => own.der],
    ['DER as a Uint8Array', () => Uint8Array.from(own.der)],
    ['a promise of DER', async () => Promise.resolve(own.der)],
  ])('can return %s', async (_what, certificateFunction) => {
    expect((await get(serve(behind(certificateFunction)), token)).status).toBe(200);
  });

  it('is called for each request', async () => {
    const app = serve(behind((who) => (who === 'own' ? own.cert : other.cert)));
    const statuses: number[] = [];
    for (const who of ['own', 'other', 'own']) statuses.push((await get(app, token).set('X-Who', who)).status);
    expect(statuses).toEqual([200, 401, 200]);
  });

  it('is not called for unbound tokens', async () => {
    const app = serve(behind(() => Promise.reject(new Error('called'))));
    expect((await get(app, await issuer.issue())).status).toBe(200);
  });

  it.each<[string, () => unknown, InvalidTokenReason]>([
    ['undefined', () => undefined, 'certificate_missing'],
    ['null', () => null, 'certificate_missing'],
    ['a promise of null', () => Promise.resolve(null), 'certificate_missing'],
    ['an empty string', () => '', 'certificate_missing'],
    ['no bytes', () => new Uint8Array(0), 'certificate_missing'],
    ['another certificate', () => other.der, 'binding_mismatch'],
    ['text', () => 'certificate', 'certificate_malformed'],
    ['bytes', () => Buffer.from('certificate'), 'certificate_malformed'],
    ['the key', () => own.key, 'certificate_malformed'],
    ['two certificates', () => own.cert + other.cert, 'certificate_malformed'],
    ['two certificates in bytes', () => Buffer.from(own.cert + other.cert), 'certificate_malformed'],
    ['a certificate and more', () => Buffer.concat([own.der, own.der]), 'certificate_malformed'],
    ['base64 with text after its padding', () => pemOf(own, '====', other), 'certificate_malformed'],
    ['half of a certificate', () => own.der.subarray(0, 100), 'certificate_malformed'],
  ])('that returns %s causes a rejection', async (_what, certificateFunction, reason) => {
    await expectInvalidToken(serve(behind(certificateFunction as () => ReturnedCertificate)), token, reason);
  });

  it.each<[string, () => unknown]>([
    ['a number', () => 1],
    ['an object', () => ({ raw: own.der })],
    ['an X509Certificate', () => new X509Certificate(own.der)],
    ['an empty array', () => []],
    ['an object with length 0', () => ({ length: 0 })],
    ['a function', () => () => own.der],
    ['a promise of true', () => Promise.resolve(true)],
  ])('that returns %s causes a ConfigurationError', async (_what, certificateFunction) => {
    const error = await expectHandedOver(token, behind(certificateFunction as () => ReturnedCertificate));
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error).toMatchObject({ reason: 'verifier_invalid', option: 'bearer: result of mtls.certificate' });
  });

  it.each<[string, (error: Error) => ReturnedCertificate]>([
    [
      'throws',
      (error) => {
        throw error;
      },
    ],
    ['rejects', (error) => Promise.reject(error)],
  ])('that %s passes its error to the application', async (_what, fail) => {
    const failure = new Error('broken');
    expect(
      await expectHandedOver(
        token,
        behind(() => fail(failure)),
      ),
    ).toBe(failure);
  });

  it('that rejects with an UpstreamError results in 503', async () => {
    const app = serve(behind(() => Promise.reject(new UpstreamError('store_unavailable', 7))));
    const response = await expectUnavailable(app, token, 'store_unavailable');
    expect(response.headers['retry-after']).toBe('7');
  });

  it('that rejects with an InvalidTokenError rejects the token', async () => {
    await expectInvalidToken(
      serve(behind(() => Promise.reject(new InvalidTokenError('certificate_missing')))),
      token,
      'certificate_missing',
    );
  });
});

describe('the option mtls', () => {
  const make = (mtls: unknown) => () =>
    Reflect.apply(jwtBearer, undefined, [{ issuer: issuer.url, audience: issuer.audience, mtls }]) as unknown;

  it.each<[string, unknown, string]>([
    ['an unknown mode', 'on', 'mtls'],
    ['true', true, 'mtls'],
    ['no mode', { certificate: 'socket' }, 'mtls'],
    ['an unknown mode in an object', { mode: 'requried' }, 'mtls: mode'],
    ['an unknown source', { mode: 'allowed', certificate: 'header' }, 'mtls: certificate'],
    ['no format', { mode: 'allowed', certificate: { header: 'X-Cert' } }, 'mtls: certificate'],
    ['an unknown format', { mode: 'allowed', certificate: { header: 'X-Cert', format: 'pem' } }, 'format'],
    ['the format nginx without a header', { mode: 'allowed', certificate: { format: 'nginx' } }, 'mtls: certificate'],
    ['an invalid header name', { mode: 'allowed', certificate: { header: 'X Cert', format: 'nginx' } }, 'header'],
    ['an unknown element', { mode: 'allowed', certificate: { format: 'envoy', element: 'second' } }, 'element'],
    ['an element of another format', { mode: 'allowed', certificate: { format: 'aws', element: 'first' } }, 'element'],
    ['an empty header', { mode: 'allowed', certificate: { header: '', format: 'aws' } }, 'header'],
  ])('cannot have %s', (_what, mtls, option) => {
    expect(make(mtls)).toThrow(ConfigurationError);
    expect(make(mtls)).toThrow(new RegExp(`^(jwtBearer|bearer): .*${option}.*: expected `));
  });

  it('suggests the right name for a misspelled one', () => {
    expect(make({ mode: 'allowed', certficate: 'socket' })).toThrow('Did you mean certificate?');
    expect(make({ mode: 'allowed', certificate: { fromat: 'aws' } })).toThrow('Did you mean format?');
  });
});
