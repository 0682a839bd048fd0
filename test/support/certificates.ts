import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate made by OpenSSL, and its thumbprint for `cnf`. */
export interface TestCertificate {
  /** PEM. */
  readonly key: string;
  /** PEM. */
  readonly cert: string;
  readonly der: Buffer;
  /** `x5t#S256` (RFC 8705 §3.1). */
  readonly thumbprint: string;
}

export interface CertificateOptions {
  /** How long it is valid from now on; negative if it has expired. */
  readonly days?: number;
  readonly keyType?: 'ec' | 'rsa';
  /** The certificate that signs it. @default itself */
  readonly signedBy?: TestCertificate;
}

/** Makes a certificate with the `openssl` command. */
export function makeCertificate(name: string, options: CertificateOptions = {}): TestCertificate {
  const { days = 1, keyType = 'ec', signedBy } = options;
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'));
  const file = (each: string): string => join(folder, each);
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  };
  try {
    const kind = keyType === 'ec' ? ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] : ['rsa:2048'];
    openssl('req', '-new', '-newkey', ...kind, '-nodes', '-keyout', 'key', '-out', 'request', '-subj', `/CN=${name}`);
    const signer = signedBy === undefined ? ['-signkey', 'key'] : ['-CA', 'ca', '-CAkey', 'ca.key', '-CAcreateserial'];
    if (signedBy !== undefined) {
      writeAll(folder, { ca: signedBy.cert, 'ca.key': signedBy.key });
    }
    openssl('x509', '-req', '-in', 'request', ...signer, '-days', String(days), '-out', 'cert');
    return describeCertificate(readFileSync(file('key'), 'utf8'), readFileSync(file('cert'), 'utf8'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function describeCertificate(key: string, cert: string): TestCertificate {
  const der = Buffer.from(cert.replace(/-----.*-----/g, ''), 'base64');
  return { key, cert, der, thumbprint: createHash('sha256').update(der).digest('base64url') };
}

function writeAll(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
}
