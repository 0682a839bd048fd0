import type { RequestListener } from 'node:http';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import { exportJWK, generateKeyPair } from 'jose';
import { type ClientMetadata, errors, Provider } from 'oidc-provider';
import { createMemoryAdapter } from '../../example-app/issuer-adapter.js';
import { listen } from '../../example-app/listen.js';
import { makeCertificate, type TestCertificate } from './certificates.js';

export const JWT = 'https://orders.example.com';
export const OPAQUE = 'https://partner.example.com';

const ALGORITHM = 'ES256';
const usual = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'] };

/** The secrets of the clients. */
export const SECRETS = {
  /** Receives unbound tokens. */
  anyone: 'secret-of-anyone',
  /** Receives only DPoP-bound tokens. */
  prover: 'secret-of-the-prover',
  /** Receives only certificate-bound tokens. */
  certified: 'secret-of-the-certified',
  /** The API, which introspects opaque tokens. */
  api: 'secret-of-the-api',
};

/**
 * A real authorization server that issues tokens bound to keys (RFC 9449) and certificates (RFC 8705). Its token endpoint
 * has an alias over TLS for clients with certificates (RFC 8705 §5).
 */
export class BindingServer {
  private constructor(
    readonly url: string,
    readonly tlsPort: number,
    readonly close: () => Promise<void>,
  ) {}

  static async start(): Promise<BindingServer> {
    let handle: RequestListener = (_req, res) => res.writeHead(503).end();
    const plain = await listen((req, res) => {
      handle(req, res);
    });
    const provider = await makeProvider(plain.url);
    const callback = provider.callback();
    handle = (req, res) => void callback(req, res);
    const { key, cert } = makeCertificate('authorization server');
    const options = { key, cert, requestCert: true, rejectUnauthorized: false };
    const tls = createServer(options, (req, res) => void callback(req, res));
    await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
    return new BindingServer(plain.url, (tls.address() as AddressInfo).port, async () => {
      tls.close();
      tls.closeAllConnections();
      await plain.close();
    });
  }

  /** Fetches a token over TLS for the client with this certificate. */
  issueTo(certificate: TestCertificate, resource: string): Promise<string> {
    const { key, cert } = certificate;
    const form = new URLSearchParams({ grant_type: 'client_credentials', resource, scope: 'orders:read' });
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          ...{ host: '127.0.0.1', port: this.tlsPort, path: '/token', method: 'POST', agent: false },
          ...{ key, cert, rejectUnauthorized: false, auth: `certified:${SECRETS.certified}` },
          headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        },
        (res) => {
          const chunks: Buffer[] = [];
          res.on('data', (chunk: Buffer) => chunks.push(chunk));
          res.on('end', () => {
            const body = JSON.parse(Buffer.concat(chunks).toString()) as { access_token?: string };
            if (body.access_token === undefined) reject(new Error(`no token: ${JSON.stringify(body)}`));
            else resolve(body.access_token);
          });
        },
      );
      sent.on('error', reject);
      sent.end(form.toString());
    });
  }
}

async function makeProvider(url: string): Promise<Provider> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  const clients: ClientMetadata[] = [
    { ...usual, client_id: 'anyone', client_secret: SECRETS.anyone },
    { ...usual, client_id: 'prover', client_secret: SECRETS.prover, dpop_bound_access_tokens: true },
    {
      ...{ ...usual, client_id: 'certified', client_secret: SECRETS.certified },
      tls_client_certificate_bound_access_tokens: true,
    },
    { ...usual, grant_types: [], client_id: 'api', client_secret: SECRETS.api },
  ];
  return new Provider(url, {
    adapter: createMemoryAdapter(),
    clients,
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: ALGORITHM, use: 'sig', kid: 'server-key' }] },
    clientDefaults: { id_token_signed_response_alg: ALGORITHM },
    enabledJWA: { dPoPSigningAlgValues: ['ES256', 'PS256', 'Ed25519', 'EdDSA'] },
    scopes: ['orders:read'],
    responseTypes: [],
    ttl: { ClientCredentials: 300 },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        getCertificate: ({ socket }) =>
          socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.toString() : undefined,
      },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => {
          if (resource !== JWT && resource !== OPAQUE) throw new errors.InvalidTarget();
          const format = resource === JWT ? 'jwt' : 'opaque';
          const jwt = { sign: { alg: ALGORITHM } } as const;
          return { scope: 'orders:read', audience: resource, accessTokenFormat: format, jwt };
        },
      },
    },
  });
}
