import { decodeJwt, decodeProtectedHeader } from 'jose';
import { callApi } from './client.js';
import type { Issuer } from './issuer.js';
import { request, type Step } from './steps.js';
import type { TokenKeeper } from './token-keeper.js';

export interface Walkthrough {
  readonly api: string;
  readonly issuer: Issuer;
  readonly reader: TokenKeeper;
  readonly worker: TokenKeeper;
  /** The worker again, with tokens for another API of the same issuer. */
  readonly elsewhere: TokenKeeper;
}

const NEW_ORDER = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"item":"coffee"}' };

/** What can be seen without a token, whoever the issuer is. */
export function openSteps(api: string): Step[] {
  return [
    request('GET /health is open', () => fetch(`${api}/health`), { status: 200 }),
    request('GET /orders without a token', () => fetch(`${api}/orders`), {
      status: 401,
      challenge: /^Bearer realm="orders"$/,
    }),
  ];
}

/** The whole way: tokens, refusals, a change of keys. */
export function walkthrough({ api, issuer, reader, worker, elsewhere }: Walkthrough): Step[] {
  const by = (keeper: TokenKeeper, path: string, init?: RequestInit) => () => callApi(keeper, api + path, init);
  return [
    ...openSteps(api),
    fetchToken('The reader fetches a token (client_secret_basic)', reader, 'orders:read'),
    request('GET /orders by the reader', by(reader, '/orders'), { status: 200 }),
    request('POST /orders by the reader', by(reader, '/orders', NEW_ORDER), {
      status: 403,
      challenge: /error="insufficient_scope".* scope="orders:write"/,
    }),
    request('GET /internal/jobs by the reader', by(reader, '/internal/jobs'), {
      status: 403,
      challenge: /error="insufficient_scope", error_description="The client is not allowed to use this resource\."$/,
    }),
    fetchToken('The worker fetches a token (private_key_jwt)', worker, 'orders:read orders:write'),
    request('POST /orders by the worker', by(worker, '/orders', NEW_ORDER), { status: 201 }),
    request('GET /internal/jobs by the worker', by(worker, '/internal/jobs'), { status: 200 }),
    request('GET /orders with a token for another API', by(elsewhere, '/orders'), {
      status: 401,
      challenge: /error="invalid_token".*for another audience/,
    }),
    request(
      'GET /orders with a tampered token',
      async () => fetch(`${api}/orders`, { headers: { Authorization: `Bearer ${tamper(await reader.token())}` } }),
      { status: 401, challenge: /error="invalid_token".*signature/ },
    ),
    rotate('The issuer signs with a new key', issuer, worker),
    request('GET /orders with a token by the new key', by(worker, '/orders'), { status: 200 }),
    request('GET /orders with a token by the old key', by(reader, '/orders'), { status: 200 }),
  ];
}

/** Gives the token to somebody else: the claims change, the signature does not. */
export function tamper(token: string): string {
  const [header, , signature] = token.split('.');
  const claims = { ...decodeJwt(token), client_id: 'worker', scope: 'orders:read orders:write' };
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
}

function fetchToken(title: string, keeper: TokenKeeper, scope: string): Step {
  return {
    title,
    run: async () => {
      const { client_id: clientId, scope: granted, aud } = decodeJwt(await keeper.token());
      const seen = `client_id=${String(clientId)} aud=${String(aud)} scope="${String(granted)}"`;
      if (granted !== scope) throw new Error(`expected the scope "${scope}", got ${seen}`);
      return seen;
    },
  };
}

function rotate(title: string, issuer: Issuer, keeper: TokenKeeper): Step {
  const keyId = async (): Promise<string> => String(decodeProtectedHeader(await keeper.token()).kid);
  return {
    title,
    run: async () => {
      const before = await keyId();
      await issuer.rotateKey();
      keeper.forget();
      const after = await keyId();
      if (after === before) throw new Error(`expected another key than ${before}`);
      return `kid ${before} -> ${after}`;
    },
  };
}
