import { randomBytes } from 'node:crypto';
import { type CryptoKey, exportJWK, generateKeyPair } from 'jose';
import type { ClientMetadata } from 'oidc-provider';

/** The client id of the partner API for introspection. */
export const PARTNER_API = 'partner-api';

/** The clients of the embedded issuer and their credentials. They are created at startup and not stored. */
export interface ExampleClients {
  /** Reads orders; authenticates by `client_secret_basic`. */
  readonly reader: { readonly clientId: string; readonly credential: string; readonly scope: string };
  /** Reads and writes orders and runs internal jobs; authenticates by `private_key_jwt`. */
  readonly worker: { readonly clientId: string; readonly credential: CryptoKey; readonly scope: string };
  /** Reads shipments, with opaque tokens; authenticates by `client_secret_basic`. */
  readonly partner: { readonly clientId: string; readonly credential: string; readonly scope: string };
  /** Reads payments, with DPoP-bound tokens; authenticates by `client_secret_basic`. */
  readonly payer: { readonly clientId: string; readonly credential: string; readonly scope: string };
  /** Calls tools of the MCP server; authenticates by `client_secret_basic`. */
  readonly assistant: { readonly clientId: string; readonly credential: string; readonly scope: string };
  /** The partner API itself: it introspects tokens and fetches none. */
  readonly partnerApi: { readonly clientId: string; readonly clientSecret: string };
  /** Their registrations at the issuer. */
  readonly registrations: readonly ClientMetadata[];
}

export async function makeClients(): Promise<ExampleClients> {
  const reader = { clientId: 'reader', credential: makeSecret(), scope: 'orders:read' };
  const partner = { clientId: 'partner', credential: makeSecret(), scope: 'shipments:read' };
  const payer = { clientId: 'payer', credential: makeSecret(), scope: 'payments:read' };
  const assistant = { clientId: 'assistant', credential: makeSecret(), scope: 'notes:read notes:write' };
  const partnerApi = { clientId: PARTNER_API, clientSecret: makeSecret() };
  const pair = await generateKeyPair('ES256');
  const worker = { clientId: 'worker', credential: pair.privateKey, scope: 'orders:read orders:write' };
  return {
    reader,
    worker,
    partner,
    payer,
    assistant,
    partnerApi,
    registrations: [
      { ...machine(reader), ...withSecret(reader.credential) },
      { ...machine({ ...partner, scope: 'shipments:read shipments:write' }), ...withSecret(partner.credential) },
      // The issuer does not issue a token to it without a proof.
      { ...machine(payer), ...withSecret(payer.credential), dpop_bound_access_tokens: true },
      { ...machine(assistant), ...withSecret(assistant.credential) },
      { ...withoutGrants(PARTNER_API), ...withSecret(partnerApi.clientSecret) },
      {
        ...machine(worker),
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [{ ...(await exportJWK(pair.publicKey)), alg: 'ES256', use: 'sig' }] },
      },
    ],
  };
}

function makeSecret(): string {
  return randomBytes(32).toString('base64url');
}

function withSecret(secret: string): Partial<ClientMetadata> {
  return { token_endpoint_auth_method: 'client_secret_basic', client_secret: secret };
}

function machine({ clientId, scope }: { clientId: string; scope: string }): ClientMetadata {
  return { ...withoutGrants(clientId), scope, grant_types: ['client_credentials'] };
}

/** A client without any grant. */
function withoutGrants(clientId: string): ClientMetadata {
  return { client_id: clientId, grant_types: [], redirect_uris: [], response_types: [] };
}
