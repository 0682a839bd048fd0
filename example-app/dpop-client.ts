import * as oauth from 'openid-client';
import { type ClientOptions, discover } from './client.js';
import { TokenKeeper } from './token-keeper.js';

/** A client whose tokens are bound to a key of its own, which it proves with every request (RFC 9449). */
export interface DpopClient {
  readonly keeper: TokenKeeper;
  /** Calls an API. Where that asks for a nonce, the request is sent again with one. */
  get(url: string): Promise<Response>;
  /** The proof that it sent last, as somebody in between would have seen it. */
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
  const keeper = new TokenKeeper(fetchToken, options);
  return {
    keeper,
    get: async (url) =>
      oauth.fetchProtectedResource(configuration, await keeper.token(), new URL(url), 'GET', null, undefined, {
        DPoP: proofs,
      }),
    lastProof: () => sent,
  };
}
