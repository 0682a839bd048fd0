import { randomBytes } from 'node:crypto';
import { type CryptoKey, exportJWK, generateKeyPair } from 'jose';
import type { ClientMetadata } from 'oidc-provider';

/** The clients of the embedded issuer, each with what it authenticates with. Made at start; nothing is stored. */
export interface ExampleClients {
  /** Reads orders; authenticates by `client_secret_basic`. */
  readonly reader: { readonly clientId: string; readonly credential: string; readonly scope: string };
  /** Reads, writes and does internal jobs; authenticates by `private_key_jwt`. */
  readonly worker: { readonly clientId: string; readonly credential: CryptoKey; readonly scope: string };
  /** What the issuer knows of them. */
  readonly registrations: readonly ClientMetadata[];
}

export async function makeClients(): Promise<ExampleClients> {
  const reader = { clientId: 'reader', credential: randomBytes(32).toString('base64url'), scope: 'orders:read' };
  const pair = await generateKeyPair('ES256');
  const worker = { clientId: 'worker', credential: pair.privateKey, scope: 'orders:read orders:write' };
  return {
    reader,
    worker,
    registrations: [
      {
        ...machine(reader),
        token_endpoint_auth_method: 'client_secret_basic',
        client_secret: reader.credential,
      },
      {
        ...machine(worker),
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [{ ...(await exportJWK(pair.publicKey)), alg: 'ES256', use: 'sig' }] },
      },
    ],
  };
}

function machine({ clientId, scope }: { clientId: string; scope: string }): ClientMetadata {
  return { client_id: clientId, scope, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
}
