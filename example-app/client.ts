import * as oauth from 'openid-client';
import { TokenCache, type TokenCacheOptions } from './token-cache.js';

export interface ConnectionOptions {
  readonly issuer: string;
  readonly clientId: string;
  /** A secret for `client_secret_basic`, or a private key for `private_key_jwt`. */
  readonly credential: string | oauth.CryptoKey;
}

export interface ClientOptions extends ConnectionOptions, TokenCacheOptions {
  /** The identifier of the API that the token is for (RFC 8707). */
  readonly resource: string;
  /** Space-delimited. */
  readonly scope: string;
}

/** Creates a client that fetches its access tokens with the client-credentials grant. */
export async function connectClient(options: ClientOptions): Promise<TokenCache> {
  const { resource, scope } = options;
  const configuration = await discover(options);
  return new TokenCache(() => oauth.clientCredentialsGrant(configuration, { resource, scope }), options);
}

/** Revokes a token of the client (RFC 7009). */
export async function revokeToken(options: ConnectionOptions, token: string): Promise<void> {
  await oauth.tokenRevocation(await discover(options), token, { token_type_hint: 'access_token' });
}

export async function discover({ issuer, clientId, credential }: ConnectionOptions): Promise<oauth.Configuration> {
  const authentication =
    typeof credential === 'string' ? oauth.ClientSecretBasic(credential) : oauth.PrivateKeyJwt(credential);
  const server = new URL(issuer);
  return oauth.discovery(server, clientId, undefined, authentication, {
    // It is marked as deprecated only to attract attention. Plain HTTP is safe on the loopback interface.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    execute: isLoopback(server) ? [oauth.allowInsecureRequests] : [],
    timeout: 5,
  });
}

/** Calls an API with the cached token. */
export async function callApi(cache: TokenCache, url: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set('Authorization', `Bearer ${await cache.token()}`);
  return fetch(url, { ...init, headers });
}

function isLoopback({ hostname }: URL): boolean {
  return ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
}
