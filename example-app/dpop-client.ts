import * as oauth from 'openid-client';
import { type ClientOptions, discover } from './client.js';
import { TokenCache } from './token-cache.js';

/** A client with DPoP-bound tokens: every request has a proof of its key (RFC 9449). */
export interface DpopClient {
  readonly cache: TokenCache;
  /** Calls an API. If the API requires a nonce, the request is sent again with it. */
  get(url: string): Promise<Response>;
  /** The last proof that was sent, as an attacker on the network would see it. */
  lastProof(): string;
}

export async function connectDpopClient(options: ClientOptions): Promise<DpopClient> {
  const { resource, scope } = options;
  const configuration = await discover(options);
  let sent = '';
  configuration[oauth.customFetch] = (url, init) => {
    sent = new Headers(init.headers).get('DPoP') ?? sent;
    return fetch(url, init as RequestInit);
  };
  const proofs = oauth.getDPoPHandle(configuration, await oauth.randomDPoPKeyPair('ES256'));
  const fetchToken = (): ReturnType<typeof oauth.clientCredentialsGrant> =>
    oauth.clientCredentialsGrant(configuration, { resource, scope }, { DPoP: proofs });
  const cache = new TokenCache(fetchToken, options);
  return {
    cache,
    get: async (url) =>
      oauth.fetchProtectedResource(configuration, await cache.token(), new URL(url), 'GET', null, undefined, {
        DPoP: proofs,
      }),
    lastProof: () => sent,
  };
}
