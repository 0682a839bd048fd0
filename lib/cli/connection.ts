import { lookup } from 'node:dns/promises';
import { connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { describeCauses } from '../util/causes.js';
import { failed, passed, unreached, warning } from './check.js';
import type { ReportedCheck } from './report.js';

const WARNING_DAYS = 21;
const DAY = 86_400_000;
/** A certificate authority that this machine does not trust. */
const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Whether the name has an address. */
export async function checkDns({ hostname }: URL): Promise<ReportedCheck> {
  const host = withoutBrackets(hostname);
  if (isIP(host) !== 0) return passed('DNS', `${host} is an address`);
  try {
    const addresses = await lookup(host, { all: true });
    return passed('DNS', addresses.map(({ address }) => address).join(', '));
  } catch (error) {
    const fix =
      codeOf(error) === 'ENOTFOUND'
        ? 'The name has no address. Check the spelling of the issuer, and whether this machine uses the right DNS server.'
        : 'The DNS server did not respond. Check the network and the DNS configuration of this machine.';
    return failed('DNS', describeCauses(error), fix);
  }
}

/** Whether the server accepts a connection, and whether its certificate is trusted. */
export async function checkConnection(url: URL, timeout: number): Promise<ReportedCheck[]> {
  const isTls = url.protocol === 'https:';
  const port = Number(url.port || (isTls ? 443 : 80));
  const target = { host: withoutBrackets(url.hostname), port };
  try {
    await openTcp(target, timeout);
  } catch (error) {
    const fix =
      'The server does not accept the connection. Check host, port and firewall, and whether the server runs.';
    return [failed('connection', describeCauses(error), fix), ...(isTls ? [unreached('TLS')] : [])];
  }
  const connection = passed('connection', `port ${port}`);
  return isTls ? [connection, await checkTls(target, timeout)] : [connection];
}

interface Target {
  readonly host: string;
  readonly port: number;
}

function openTcp(target: Target, timeout: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ ...target, timeout: timeout * 1000 }, () => {
      socket.destroy();
      resolve();
    });
    socket.on('timeout', () => socket.destroy(timeoutError(timeout)));
    socket.on('error', reject);
  });
}

async function checkTls(target: Target, timeout: number): Promise<ReportedCheck> {
  try {
    return await openTls(target, timeout);
  } catch (error) {
    const fix = 'The server does not respond with TLS. Check the port, and that it speaks TLS 1.2 or 1.3.';
    return failed('TLS', describeCauses(error), fix);
  }
}

function openTls({ host, port }: Target, timeout: number): Promise<ReportedCheck> {
  return new Promise((resolve, reject) => {
    // Not trusted yet: nothing is sent, and the certificate is only described.
    const unverified = { rejectUnauthorized: false, timeout: timeout * 1000 };
    const socket = connectTls({ host, port, ...unverified, ...(isIP(host) === 0 ? { servername: host } : {}) }, () => {
      resolve(describeTls(socket));
      socket.destroy();
    });
    socket.on('timeout', () => socket.destroy(timeoutError(timeout)));
    socket.on('error', reject);
  });
}

function describeTls(socket: TLSSocket): ReportedCheck {
  const certificate = socket.getPeerCertificate(true);
  const chain = chainOf(certificate).join(' < ');
  const days = Math.floor((Date.parse(certificate.valid_to) - Date.now()) / DAY);
  const found = `${socket.getProtocol() ?? 'TLS'}, ${days} days left, ${chain}`;
  if (!socket.authorized) {
    const code = authorizationCode(socket.authorizationError);
    return failed('TLS', `${code}, ${found}`, tlsFix(code));
  }
  return days < WARNING_DAYS
    ? warning('TLS', found, 'The certificate of the server expires soon. Renew it.')
    : passed('TLS', found);
}

// The types say that it is an error; Node sets the code, or an error with a code.
function authorizationCode(error: unknown): string {
  return typeof error === 'string' ? error : (codeOf(error) ?? String(error));
}

function tlsFix(code: string): string {
  if (UNTRUSTED.has(code)) {
    return 'This machine does not trust the certificate. NODE_EXTRA_CA_CERTS=/path/to/ca.pem adds a certificate authority.';
  }
  if (code === 'CERT_HAS_EXPIRED') return 'The certificate of the server has expired. Renew it.';
  return code === 'ERR_TLS_CERT_ALTNAME_INVALID'
    ? 'The certificate is for another host name. Use the name in the certificate, or install the right one.'
    : 'Node does not accept the certificate of the server. Check the certificate and the clock of this machine.';
}

/** The names in the chain of certificates, the one of the server first. The last certificate is its own issuer. */
function chainOf(certificate: DetailedPeerCertificate): string[] {
  const chain = new Map<string, string>();
  // Node leaves out the issuer of a certificate whose issuer was not sent.
  let current: Partial<DetailedPeerCertificate> | undefined = certificate;
  while (current?.fingerprint256 !== undefined && !chain.has(current.fingerprint256)) {
    chain.set(current.fingerprint256, [current.subject?.CN].flat()[0] ?? 'a certificate without a name');
    current = current.issuerCertificate;
  }
  return [...chain.values()];
}

function timeoutError(timeout: number): Error {
  return new Error(`no response within ${timeout} s`);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}
