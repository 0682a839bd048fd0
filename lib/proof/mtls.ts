import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { ConfigurationError, type Finding, InvalidTokenError } from '../errors.js';
import { describe } from '../options.js';
import { readField } from '../token/header-fields.js';
import { FORMATS, thumbprintOf } from './certificate-formats.js';
import type { CertificateSource, ClientCertificate, ForwardedCertificate } from './mtls-options.js';

/**
 * Checks that the request came from whoever holds the key of the certificate that the token is bound to (RFC 8705 §3).
 * Whoever did the TLS handshake has checked that the client holds that key; whether its certificate is to be trusted is
 * asked by nobody, because self-signed ones serve as well (§2.2).
 */
export function makeCertificateCheck(
  source: CertificateSource,
): (req: IncomingMessage, thumbprint: string) => void | Promise<void> {
  if (typeof source === 'function') {
    return async (req, thumbprint) => {
      const certificate: unknown = await source(req);
      compare(thumbprintOfGiven(certificate as ClientCertificate), thumbprint);
    };
  }
  const find = source === 'socket' ? ofSocket : (req: IncomingMessage) => ofHeader(req, source);
  return (req, thumbprint) => {
    compare(find(req), thumbprint);
  };
}

function compare(found: string | undefined, expected: string): void {
  if (found === undefined) throw new InvalidTokenError('certificate_missing');
  if (found === expected) return;
  const cause: Finding = { checked: 'cnf.x5t#S256', expected, found };
  throw new InvalidTokenError('binding_mismatch', { cause });
}

function ofHeader(req: IncomingMessage, { header, format }: ForwardedCertificate): string | undefined {
  const { header: usual = '', parse } = FORMATS[format];
  const field = readField(req, (header ?? usual).toLowerCase());
  // Proxies also write an empty value where there is no certificate.
  if (field === undefined || (field !== 'several' && field.value.trim() === '')) return undefined;
  if (field === 'several') throw new InvalidTokenError('certificate_malformed');
  return readable(() => parse(field.value));
}

function thumbprintOfGiven(certificate: ClientCertificate): string | undefined {
  if (certificate === undefined || certificate === null || certificate.length === 0) return undefined;
  if (typeof certificate === 'string' || certificate instanceof Uint8Array) {
    return readable(() => thumbprintOf(certificate));
  }
  const problem = {
    option: 'bearer: what mtls.certificate gives',
    expected: 'a string of PEM, a Uint8Array of DER, or nothing',
    got: describe(certificate),
    fix: 'Give the certificate itself.',
  };
  throw new ConfigurationError(problem, { reason: 'verifier_invalid' });
}

function readable(read: () => string): string {
  try {
    return read();
  } catch (cause) {
    throw new InvalidTokenError('certificate_malformed', { cause });
  }
}

// A connection has one certificate for all its requests, and reading it costs more than the rest of this check.
const ofSockets = new WeakMap<Socket, string>();

function ofSocket({ socket }: IncomingMessage): string | undefined {
  const known = ofSockets.get(socket);
  if (known !== undefined) return known;
  if (!(socket instanceof TLSSocket)) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const thumbprint = thumbprintOf(certificate.raw);
  ofSockets.set(socket, thumbprint);
  return thumbprint;
}
