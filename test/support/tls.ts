import { createServer, request, type Agent, type ServerOptions } from 'node:https';
import type { RequestListener } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { TestCertificate } from './certificates.js';
import { open } from './helpers.js';

/** Starts an HTTPS server that requests client certificates and accepts any or none, until the test ends. Returns its port. */
export function listenTls(app: RequestListener, own: TestCertificate, options?: ServerOptions): Promise<number> {
  const { key, cert } = own;
  const server = createServer({ key, cert, requestCert: true, rejectUnauthorized: false, ...options }, app);
  return open(server);
}

export interface TlsRequest {
  readonly token?: string;
  readonly scheme?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The client certificate. @default none */
  readonly certificate?: TestCertificate | undefined;
  readonly agent?: Agent;
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3';
}

export interface TlsAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: unknown;
  /** Whether the connection resumed a session. */
  readonly isResumed: boolean;
}

/** Sends one request with Node's client, which does not verify the certificate of the server. */
export function getTls(port: number, options: TlsRequest = {}): Promise<TlsAnswer> {
  const { token, scheme = 'Bearer', path = '/', headers = {}, certificate, agent = false, maxVersion } = options;
  const authorization = token === undefined ? {} : { authorization: `${scheme} ${token}` };
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        path,
        agent,
        rejectUnauthorized: false,
        ...(maxVersion === undefined ? {} : { maxVersion }),
        ...(certificate === undefined ? {} : { key: certificate.key, cert: certificate.cert }),
        headers: { ...headers, ...authorization },
      },
      (res) => {
        const isResumed = res.socket instanceof TLSSocket && res.socket.isSessionReused();
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('end', () => {
          const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
          resolve({ status: res.statusCode ?? 0, headers: res.headers, body, isResumed });
        });
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}
