import { createHash, X509Certificate } from 'node:crypto';

/** How a proxy writes the client certificate into a header field. */
export type CertificateFormat = 'rfc9440' | 'nginx' | 'envoy' | 'aws';

/** Which element of `X-Forwarded-Client-Cert` is the client's. */
export type XfccElement = 'first' | 'last';

interface Format {
  /** The usual name of the header field, in lower case. */
  readonly header: string | undefined;
  /** Returns the thumbprint of the certificate; throws if the value does not have this format. */
  readonly parse: (value: string, element?: XfccElement) => string;
}

const BYTE_SEQUENCE = /^:([A-Za-z0-9+/]+={0,2}):$/;
// In both, neighbouring classes do not overlap, so matching is linear.
const PEM = /-----BEGIN CERTIFICATE-----[\r\n]([A-Za-z0-9+/\r\n]+(?:={1,2}[\r\n]*)?)-----END CERTIFICATE-----[\r\n]*/y;
/**
 * PEM in one line: proxies write spaces or tabs in place of line breaks, or after them. All lines but the last must have 64
 * characters (RFC 7468 §2), so that a space in place of a plus sign is not taken for the end of a line.
 */
const PEM_IN_ONE_LINE =
  /-----BEGIN CERTIFICATE-----\s+((?:[A-Za-z0-9+/]{64}\s+)*[A-Za-z0-9+/]{1,64}={0,2})\s+-----END CERTIFICATE-----\s*/y;
const XFCC_PAIR = /([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;\\]*))(;|,[ \t]*|$)/y;
const SHA256_HEX = /^[0-9a-f]{64}$/i;

export const FORMATS: Readonly<Record<CertificateFormat, Format>> = {
  // RFC 9440 §2.1 and §2.2: a Byte Sequence (RFC 9651 §3.3.5) of the DER.
  rfc9440: { header: 'client-cert', parse: (value) => thumbprintOf(parseByteSequence(value)) },
  // $ssl_client_escaped_cert.
  nginx: { header: undefined, parse: (value) => thumbprintOf(parsePem(decodeURIComponent(value))) },
  envoy: { header: 'x-forwarded-client-cert', parse: parseXfcc },
  // The chain that the client sent: its own certificate comes first.
  aws: { header: 'x-amzn-mtls-clientcert', parse: (value) => thumbprintOf(parsePemChain(decodeURIComponent(value))) },
};

/**
 * The thumbprint of a certificate: SHA-256 of its DER, in base64url (RFC 8705 §3.1). Accepts PEM as a string or DER as
 * bytes.
 *
 * @throws Error for anything but exactly one certificate.
 */
export function thumbprintOf(certificate: string | Uint8Array): string {
  const der = typeof certificate === 'string' ? parsePem(certificate) : certificate;
  // `X509Certificate` also reads PEM, and ignores bytes after the certificate.
  if (!new X509Certificate(der).raw.equals(der)) throw new Error('not exactly one certificate in DER');
  return hashOf(der);
}

/** The thumbprint of DER that is known to be exactly one certificate. */
export function hashOf(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('base64url');
}

function parseByteSequence(value: string): Buffer {
  const base64 = BYTE_SEQUENCE.exec(value.trim())?.[1];
  if (base64 === undefined) throw new Error('not a byte sequence (RFC 9651)');
  return Buffer.from(base64, 'base64');
}

/** Reads exactly one certificate in PEM (RFC 7468 §5): with several, the client's own would be ambiguous. */
function parsePem(text: string): Buffer {
  const [first, ...others] = pemBlocks(text);
  if (first === undefined || others.length > 0) throw new Error('not exactly one certificate in PEM');
  return first;
}

function parsePemChain(text: string): Buffer {
  const [first] = pemBlocks(text);
  if (first === undefined) throw new Error('no certificate in PEM');
  return first;
}

function pemBlocks(text: string): Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = 0; at < text.length;) {
    const [block, base64] = matchAt(PEM, text, at) ?? matchAt(PEM_IN_ONE_LINE, text, at) ?? [];
    if (block === undefined || base64 === undefined) throw new Error('text that is not a certificate in PEM');
    blocks.push(Buffer.from(base64, 'base64'));
    at += block.length;
  }
  return blocks;
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/**
 * Reads Envoy's `X-Forwarded-Client-Cert`: one element per proxy, separated by commas; each has pairs, separated by
 * semicolons. Without the option `element`, several elements are rejected, because it is not known which one is the
 * client's. `Hash`, the SHA-256 of the certificate, is always present; `Cert` only if Envoy is configured to send it.
 */
function parseXfcc(value: string, element?: XfccElement): string {
  const elements = xfccElements(value);
  if (element === undefined && elements.length > 1) throw new Error('several elements, and no option says which one');
  const pairs = elements.at(element === 'last' ? -1 : 0) ?? new Map<string, string>();
  const escaped = pairs.get('cert');
  const hex = pairs.get('hash');
  if (hex !== undefined && !SHA256_HEX.test(hex)) throw new Error('Hash is not a SHA-256');
  const hash = hex === undefined ? undefined : Buffer.from(hex, 'hex').toString('base64url');
  const thumbprint = escaped === undefined ? hash : thumbprintOf(parsePem(decodeURIComponent(escaped)));
  if (thumbprint === undefined) throw new Error('neither Cert nor Hash');
  if (hash !== undefined && hash !== thumbprint) throw new Error('Hash is not the hash of Cert');
  return thumbprint;
}

/** All elements must be well-formed, also those that are not used. */
function xfccElements(value: string): ReadonlyMap<string, string>[] {
  let pairs = new Map<string, string>();
  const elements = [pairs];
  XFCC_PAIR.lastIndex = 0;
  for (let isLast = false; !isLast;) {
    const [, key = '', quoted, plain = '', end] = XFCC_PAIR.exec(value) ?? [];
    if (end === undefined) throw new Error('not an element of pairs');
    const name = key.toLowerCase();
    const isUnique = name === 'cert' || name === 'hash';
    if (isUnique && pairs.has(name)) throw new Error('several certificates in one element');
    pairs.set(name, quoted?.replace(/\\(.)/g, '$1') ?? plain);
    if (end.startsWith(',')) elements.push((pairs = new Map<string, string>()));
    isLast = end === '';
  }
  return elements;
}
