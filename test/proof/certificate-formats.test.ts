import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Express } from 'express';
import fc from 'fast-check';
import {
  type CertificateFormat,
  type CertificateSource,
  InvalidTokenError,
  type InvalidTokenReason,
  jwtBearer,
} from '../../lib/index.js';
import { TestIssuer } from '../../lib/testing/issuer.js';
import { makeCertificate, type TestCertificate } from '../support/certificates.js';
import { getRaw, handled, listen, serve } from '../support/helpers.js';

let issuer: TestIssuer;
let own: TestCertificate;
let other: TestCertificate;
let token: string;

beforeAll(async () => {
  issuer = await TestIssuer.start();
  own = makeCertificate('client');
  other = makeCertificate('thief', { signedBy: makeCertificate('authority') });
  token = await issuer.issue({ cnf: { 'x5t#S256': own.thumbprint } });
});

afterAll(() => issuer.close());

function apiWith(certificate: CertificateSource): Express {
  return serve(
    jwtBearer({
      issuer: issuer.url,
      audience: issuer.audience,
      mtls: { mode: 'allowed', certificate: certificate as 'socket' },
    }),
  );
}

/** The response to a request with exactly these header fields. */
async function send(app: Express, fields: readonly string[]) {
  const { status, body } = await getRaw(await listen(app), ['Authorization', `Bearer ${token}`, ...fields]);
  return { status, body };
}

async function expectRejected(
  app: Express,
  fields: readonly string[],
  reasons: readonly InvalidTokenReason[],
): Promise<void> {
  const { status, body } = await send(app, fields);
  expect({ status, handled: handled(app) }).toEqual({ status: 401, handled: 0 });
  const sentences = reasons.map((reason) => new InvalidTokenError(reason).message);
  expect(sentences).toContain((JSON.parse(body) as { error_description: string }).error_description);
}

const HEADERS: Readonly<Record<CertificateFormat, string>> = {
  rfc9440: 'Client-Cert',
  nginx: 'X-Client-Cert',
  envoy: 'X-Forwarded-Client-Cert',
  aws: 'X-Amzn-Mtls-Clientcert',
};
const FORMATS = Object.keys(HEADERS) as CertificateFormat[];

const sourceFor = (format: CertificateFormat): CertificateSource => ({ header: HEADERS[format], format });
const percent = (text: string): string => encodeURIComponent(text);
const hex = ({ der }: TestCertificate): string => createHash('sha256').update(der).digest('hex');
/** The escaping of an Application Load Balancer: it does not escape "+", "=" and "/". */
const awsEscaped = (pem: string): string => percent(pem).replace(/%2B/g, '+').replace(/%3D/g, '=').replace(/%2F/g, '/');

/** The header value of each proxy, according to its documentation. */
const WRITTEN: Readonly<Record<CertificateFormat, (certificate: TestCertificate) => string>> = {
  rfc9440: ({ der }) => `:${der.toString('base64')}:`,
  nginx: ({ cert }) => percent(cert),
  envoy: (each) =>
    `By=spiffe://a/b;Hash=${hex(each)};URI=;Subject="CN=client,O=\\"a;b\\"";Cert="${percent(each.cert)}"`,
  aws: ({ cert }) => awsEscaped(cert),
};

describe.each(FORMATS)('the certificate format %s', (format) => {
  it('contains the certificate of the client', async () => {
    const app = apiWith(sourceFor(format));
    expect((await send(app, [HEADERS[format], WRITTEN[format](own)])).status).toBe(200);
    expect((await send(app, [HEADERS[format].toLowerCase(), WRITTEN[format](own)])).status).toBe(200);
  });

  it('can be in any header field', async () => {
    const app = apiWith({ header: 'X-Some-Other', format });
    expect((await send(app, ['x-some-OTHER', WRITTEN[format](own)])).status).toBe(200);
    await expectRejectedLater(app, [HEADERS[format], WRITTEN[format](own)]);
  });

  it('is rejected with another certificate', async () => {
    await expectRejected(apiWith(sourceFor(format)), [HEADERS[format], WRITTEN[format](other)], ['binding_mismatch']);
  });

  it.each<[string, () => readonly string[]]>([
    ['no header', () => []],
    ['an empty header', () => [HEADERS[format], '']],
    ['a header of spaces and tabs', () => [HEADERS[format], ' \t ']],
  ])('contains no certificate in %s', async (_what, fields) => {
    await expectRejected(apiWith(sourceFor(format)), fields(), ['certificate_missing']);
  });

  it.each<[string, (good: string) => readonly string[]]>([
    ['sent twice', (good) => [HEADERS[format], good, HEADERS[format], good]],
    ['sent twice, first by the client', (good) => [HEADERS[format], WRITTEN[format](other), HEADERS[format], good]],
    ['sent twice, in another case', (good) => [HEADERS[format], good, HEADERS[format].toUpperCase(), good]],
    ['followed by a comma and another certificate', (good) => [HEADERS[format], `${good}, ${good}`]],
    ['followed by a comma', (good) => [HEADERS[format], `${good},`]],
    ['without its last part', (good) => [HEADERS[format], good.slice(0, -40)]],
    ['without its first part', (good) => [HEADERS[format], good.slice(40)]],
    ['garbage', () => [HEADERS[format], 'garbage']],
    ['"null"', () => [HEADERS[format], 'null']],
    ['"(null)"', () => [HEADERS[format], '(null)']],
    ['empty quotes', () => [HEADERS[format], '""']],
    ['with an invalid escape', (good) => [HEADERS[format], `${good}%`]],
    ['with an escape of half a character', (good) => [HEADERS[format], `%ff${good}`]],
    ['very long', () => [HEADERS[format], 'A'.repeat(12_000)]],
    [
      'very long, with line breaks',
      () => [HEADERS[format], `${percent('-----BEGIN CERTIFICATE-----')}${'%0A'.repeat(4_000)}`],
    ],
    ['very long, with quotes', () => [HEADERS[format], `Cert="${'\\"'.repeat(6_000)}`]],
    ['the private key', () => [HEADERS[format], percent(own.key)]],
    ['the thumbprint', () => [HEADERS[format], own.thumbprint]],
  ])('is rejected if it is %s', async (_what, fields) => {
    const app = apiWith(sourceFor(format));
    await expectRejected(app, fields(WRITTEN[format](own)), ['certificate_malformed', 'binding_mismatch']);
  });

  it('is rejected with any other text, without a server error', async () => {
    const app = apiWith(sourceFor(format));
    const port = await listen(app);
    const part = fc.constantFrom(
      ...[':', ';', ',', '=', '"', '\\', '%', '%0A', 'Cert=', 'Hash=', '-----BEGIN CERTIFICATE-----'],
    );
    const text = fc.array(fc.oneof(part, fc.string({ maxLength: 5 }), fc.constant(WRITTEN[format](other))), {
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(text, async (parts) => {
        const value = parts.join('').replace(/[^\x20-\x7e]/g, '?');
        const { status } = await getRaw(port, ['Authorization', `Bearer ${token}`, HEADERS[format], value]);
        expect(status).toBe(401);
      }),
      { numRuns: 100 },
    );
  });

  async function expectRejectedLater(app: Express, fields: readonly string[]): Promise<void> {
    const before = handled(app);
    expect((await send(app, fields)).status).toBe(401);
    expect(handled(app)).toBe(before);
  }
});

describe('the default header field', () => {
  it.each(FORMATS.filter((format) => format !== 'nginx'))('of %s does not need the option header', async (format) => {
    expect((await send(apiWith({ format }), [HEADERS[format], WRITTEN[format](own)])).status).toBe(200);
  });
});

/** Values of one format and the expected result. */
const SPECIAL: readonly (readonly [CertificateFormat, string, () => string, 200 | InvalidTokenReason])[] = [
  ['rfc9440', 'without padding', () => WRITTEN.rfc9440(own).replace(/=*:$/, ':'), 200],
  ['rfc9440', 'with a parameter', () => `${WRITTEN.rfc9440(own)};a=1`, 'certificate_malformed'],
  ['rfc9440', 'as base64url', () => `:${own.der.toString('base64url')}:`, 'certificate_malformed'],
  ['rfc9440', 'without colons', () => own.der.toString('base64'), 'certificate_malformed'],
  ['rfc9440', 'with blanks within', () => WRITTEN.rfc9440(own).replace(/^:(.{9})/, ':$1 '), 'certificate_malformed'],
  [
    'rfc9440',
    'with a byte after it',
    () => `:${Buffer.concat([own.der, Buffer.of(0)]).toString('base64')}:`,
    'certificate_malformed',
  ],
  ['rfc9440', 'of the PEM', () => `:${Buffer.from(own.cert).toString('base64')}:`, 'certificate_malformed'],
  ['nginx', 'escaped only at its line breaks', () => own.cert.replace(/\n/g, '%0A'), 200],
  ['nginx', 'with the line breaks of Windows', () => percent(own.cert.replace(/\n/g, '\r\n')), 200],
  ['nginx', 'escaped twice', () => percent(percent(own.cert)), 'certificate_malformed'],
  [
    'nginx',
    'with a space inside a line',
    () => percent(own.cert.replace(/CERTIFICATE-----\n(.{9})/, '$& ')),
    'certificate_malformed',
  ],
  ['nginx', 'with text before it', () => percent(`subject=CN=client\n${own.cert}`), 'certificate_malformed'],
  ['nginx', 'with another certificate after it', () => percent(own.cert + other.cert), 'certificate_malformed'],
  ['nginx', 'with spaces instead of line breaks', () => percent(own.cert.trim().replace(/\n/g, ' ')), 200],
  ['nginx', 'with tabs instead of line breaks, not escaped', () => own.cert.trim().replace(/\n/g, '\t'), 200],
  ['nginx', 'with a line break and a tab between lines', () => percent(own.cert.replace(/\n(?!$)/g, '\n\t')), 200],
  ['nginx', 'with spaces and a trailing space', () => percent(own.cert.replace(/\n/g, ' ')), 200],
  [
    'nginx',
    'with spaces instead of line breaks and of plus signs',
    () => percent(own.cert.replace(/\n/g, ' ').replace(/([A-Za-z0-9/]{20})[A-Za-z0-9+/]/, '$1 ')),
    'certificate_malformed',
  ],
  [
    'nginx',
    'with spaces and another certificate after it',
    () => percent((own.cert + other.cert).replace(/\n/g, ' ')),
    'certificate_malformed',
  ],
  ['aws', 'with spaces and the rest of its chain', () => awsEscaped((own.cert + other.cert).replace(/\n/g, ' ')), 200],
  ['envoy', 'with spaces in Cert', () => `Cert="${percent(own.cert.trim().replace(/\n/g, ' '))}"`, 200],
  ['aws', 'with the rest of its chain after it', () => awsEscaped(own.cert + other.cert), 200],
  ['aws', 'after another certificate', () => awsEscaped(other.cert + own.cert), 'binding_mismatch'],
  ['aws', 'with text between', () => awsEscaped(`${own.cert}x\n${other.cert}`), 'certificate_malformed'],
  [
    'aws',
    'without content',
    () => awsEscaped('-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n'),
    'certificate_malformed',
  ],
  ['envoy', 'with only Cert', () => `Cert="${percent(own.cert)}"`, 200],
  ['envoy', 'with only Hash', () => `Hash=${hex(own)}`, 200],
  ['envoy', 'with Hash in quotes and capitals', () => `HASH="${hex(own).toUpperCase()}"`, 200],
  ['envoy', 'with several names', () => `Hash=${hex(own)};DNS=a.example;DNS=b.example;URI=spiffe://a`, 200],
  [
    'envoy',
    'with the Hash of another certificate',
    () => `Hash=${hex(other)};Cert="${percent(own.cert)}"`,
    'certificate_malformed',
  ],
  [
    'envoy',
    'with the Cert of another certificate',
    () => `Hash=${hex(own)};Cert="${percent(other.cert)}"`,
    'certificate_malformed',
  ],
  [
    'envoy',
    'with two Certs',
    () => `Cert="${percent(own.cert)}";cert="${percent(other.cert)}"`,
    'certificate_malformed',
  ],
  ['envoy', 'with an equals sign in a name', () => `By=urn:a?b=c;Hash=${hex(own)};URI=https://a.example/?b=c=d`, 200],
  ['envoy', 'with a Hash in a name', () => `URI=urn:a;Hash=${hex(other)};Hash=${hex(own)}`, 'certificate_malformed'],
  ['envoy', 'with two Hashes', () => `Hash=${hex(own)};Hash=${hex(own)}`, 'certificate_malformed'],
  ['envoy', 'with two elements', () => `Hash=${hex(own)},Hash=${hex(other)}`, 'certificate_malformed'],
  ['envoy', 'with neither', () => 'By=spiffe://a;Subject="CN=client"', 'certificate_malformed'],
  [
    'envoy',
    'with a Cert within a Subject',
    () => `Subject="\\";Cert=${percent(own.cert)};\\"";By=a`,
    'certificate_malformed',
  ],
  [
    'envoy',
    'with a Subject without its closing quote',
    () => `Subject="CN=a;Hash=${hex(own)}`,
    'certificate_malformed',
  ],
  ['envoy', 'with a Hash that is too short', () => `Hash=${hex(own).slice(2)}`, 'certificate_malformed'],
  ['envoy', 'with an empty Hash', () => 'Hash=', 'certificate_malformed'],
  ['envoy', 'with only Chain', () => `Chain="${percent(own.cert)}"`, 'certificate_malformed'],
  ['envoy', 'with a semicolon at its end', () => `Hash=${hex(own)};`, 'certificate_malformed'],
];

/** A header of several proxies: the option, the value, the expected result. */
const SEVERAL: readonly (readonly ['first' | 'last', string, () => string, 200 | InvalidTokenReason])[] = [
  ['first', 'one element', () => `Hash=${hex(own)}`, 200],
  ['last', 'one element', () => `Hash=${hex(own)}`, 200],
  ['first', 'two elements', () => `Hash=${hex(own)},By=a;Hash=${hex(other)}`, 200],
  ['first', 'two elements, the other one first', () => `Hash=${hex(other)},Hash=${hex(own)}`, 'binding_mismatch'],
  ['last', 'two elements', () => `Hash=${hex(other)},Hash=${hex(own)};URI=spiffe://a`, 200],
  ['last', 'two elements, the other one last', () => `Hash=${hex(own)},Hash=${hex(other)}`, 'binding_mismatch'],
  ['last', 'three elements with spaces', () => `By=a , Hash=${hex(other)},\tHash=${hex(own)}`, 200],
  ['first', 'a comma in quotes', () => `Subject="CN=a,O=b";Hash=${hex(own)},Hash=${hex(other)}`, 200],
  ['last', 'a forged element in quotes', () => `Hash=${hex(other)};Subject=",Hash=${hex(own)}"`, 'binding_mismatch'],
  ['first', 'no certificate in the first', () => `By=a,Hash=${hex(own)}`, 'certificate_malformed'],
  ['last', 'no certificate in the last', () => `Hash=${hex(own)},By=a`, 'certificate_malformed'],
  ['first', 'a malformed last element', () => `Hash=${hex(own)},x`, 'certificate_malformed'],
  ['last', 'a malformed first element', () => `x,Hash=${hex(own)}`, 'certificate_malformed'],
  ['last', 'two hashes in the first', () => `Hash=1;Hash=2,Hash=${hex(own)}`, 'certificate_malformed'],
  ['first', 'an unclosed quote in the last', () => `Hash=${hex(own)},Subject="a`, 'certificate_malformed'],
  ['last', 'a quote that swallows an element', () => `Subject=",Hash=${hex(own)}`, 'certificate_malformed'],
  ['first', 'an empty last element', () => `Hash=${hex(own)},`, 'certificate_malformed'],
  ['last', 'an empty first element', () => `,Hash=${hex(own)}`, 'certificate_malformed'],
];

describe('X-Forwarded-Client-Cert of several proxies', () => {
  it.each(SEVERAL)('with element: %s accepts the right certificate: %s', async (element, _what, value, outcome) => {
    const app = apiWith({ format: 'envoy', element });
    if (outcome === 200) expect((await send(app, [HEADERS.envoy, value()])).status).toBe(200);
    else await expectRejected(app, [HEADERS.envoy, value()], [outcome]);
  });

  it.each(['first', 'last'] as const)('is rejected if it is sent twice, with element: %s', async (element) => {
    const fields = [HEADERS.envoy, `Hash=${hex(own)}`, HEADERS.envoy, `Hash=${hex(own)}`];
    await expectRejected(apiWith({ format: 'envoy', element }), fields, ['certificate_malformed']);
  });
});

describe('a certificate in a header field', () => {
  it.each(SPECIAL)('in the format %s, %s', async (format, _what, value, outcome) => {
    const app = apiWith(sourceFor(format));
    if (outcome === 200) expect((await send(app, [HEADERS[format], value()])).status).toBe(200);
    else await expectRejected(app, [HEADERS[format], value()], [outcome]);
  });
});
