import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { ConfigurationError } from '../errors.js';
import { describe } from '../options.js';
import { readField } from '../token/header-fields.js';
import { rejectToken } from '../token/reject-token.js';
import { describeCauses } from '../util/causes.js';
import { FORMATS, hashOf, thumbprintOf } from './certificate-formats.js';
import type { CertificateSource, ClientCertificate, ForwardedCertificate } from './mtls-options.js';

/**
 * Checks that the request came with the client certificate that the token is bound to (RFC 8705 §3). The TLS handshake has
 * proven possession of the key. *Not* checked: whether the certificate is trusted, because self-signed certificates
 * are allowed (§2.2).
 */
export function makeCertificateCheck(
  source: CertificateSource,
): (req: IncomingMessage, thumbprint: string) => void | Promise<void> {
  if (typeof source === 'function') {
    return async (req, thumbprint) => {
      const certificate: unknown = await source(req);
      compare(readCertificate(certificate as ClientCertificate), thumbprint);
    };
  }
  const find = source === 'socket' ? thumbprintOnSocket : (req: IncomingMessage) => thumbprintInHeader(req, source);
  return (req, thumbprint) => {
    compare(find(req), thumbprint);
  };
}

function compare(found: string | undefined, expected: string): void {
  if (found === undefined) rejectToken('certificate_missing', 'client certificate', expected, 'none');
  if (found !== expected) rejectToken('binding_mismatch', 'cnf.x5t#S256', expected, found);
}

function thumbprintInHeader(
  req: IncomingMessage,
  { header, format, element }: ForwardedCertificate,
): string | undefined {
  const { header: usual = '', parse } = FORMATS[format];
  const field = readField(req, (header ?? usual).toLowerCase());
  // Proxies also write an empty value if there is no certificate.
  if (field === undefined || (field !== 'several' && field.value.trim() === '')) return undefined;
  if (field === 'several') rejectToken('certificate_malformed', 'client certificate', 'one header field', 'several');
  return readMalformed(() => parse(field.value, element));
}

function readCertificate(certificate: ClientCertificate): string | undefined {
  if (certificate === undefined || certificate === null) return undefined;
  if (typeof certificate === 'string' || certificate instanceof Uint8Array) {
    return certificate.length === 0 ? undefined : readMalformed(() => thumbprintOf(certificate));
  }
  const problem = {
    option: 'bearer: result of mtls.certificate',
    expected: 'a string of PEM, a Uint8Array of DER, or nothing',
    got: describe(certificate),
    fix: 'Return the certificate itself, such as the property raw of an X509Certificate.',
  };
  throw new ConfigurationError(problem, { reason: 'verifier_invalid' });
}

function readMalformed(read: () => string): string {
  try {
    return read();
  } catch (cause) {
    rejectToken('certificate_malformed', 'client certificate', 'a certificate', describeCauses(cause));
  }
}

// Not cached per connection: up to TLS 1.2, a client can change its certificate on a connection (RFC 5746).
function thumbprintOnSocket({ socket }: IncomingMessage): string | undefined {
  // Not `instanceof TLSSocket`: loading node:tls takes milliseconds at start.
  const certificate = (socket as Partial<TLSSocket>).getPeerX509Certificate?.();
  return certificate === undefined ? undefined : hashOf(certificate.raw);
}
