import * as oauth from 'openid-client';
import { TokenKeeper, type TokenKeeperOptions } from './token-keeper.js';

export interface ConnectionOptions {
  readonly issuer: string;
  readonly clientId: string;
  /** A secret is sent by `client_secret_basic`; a private key signs assertions for `private_key_jwt`. */
  readonly credential: string | oauth.CryptoKey;
}

export interface ClientOptions extends ConnectionOptions, TokenKeeperOptions {
  /** The identifier of the API that the token is for (RFC 8707). */
  readonly resource: string;
  /** Space-delimited. */
  readonly scope: string;
}

/** A client that gets its access tokens by the client-credentials grant. */
export async function connectClient(options: ClientOptions): Promise<TokenKeeper> {
  const { resource, scope } = options;
  const configuration = await discover(options);
  return new TokenKeeper(() => oauth.clientCredentialsGrant(configuration, { resource, scope }), options);
}

/** Ends a token of the client's before its time (RFC 7009). */
export async function revokeToken(options: ConnectionOptions, token: string): Promise<void> {
  await oauth.tokenRevocation(await discover(options), token, { token_type_hint: 'access_token' });
}

export async function discover({ issuer, clientId, credential }: ConnectionOptions): Promise<oauth.Configuration> {
  const authentication =
    typeof credential === 'string' ? oauth.ClientSecretBasic(credential) : oauth.PrivateKeyJwt(credential);
  const server = new URL(issuer);
  return oauth.discovery(server, clientId, undefined, authentication, {
    // Deprecated only to stand out: tokens and secrets may go by plain HTTP where they do not leave the machine.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    execute: isLoopback(server) ? [oauth.allowInsecureRequests] : [],
    timeout: 5,
  });
}

/** Calls an API with the token that the keeper keeps. */
export async function callApi(keeper: TokenKeeper, url: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set('Authorization', `Bearer ${await keeper.token()}`);
  return fetch(url, { ...init, headers });
}

function isLoopback({ hostname }: URL): boolean {
  return ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
}
