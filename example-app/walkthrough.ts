import { decodeJwt, decodeProtectedHeader } from 'jose';
import { callApi } from './client.js';
import type { Issuer } from './issuer.js';
import { request, type Step } from './steps.js';
import type { TokenCache } from './token-cache.js';

export interface Walkthrough {
  readonly api: string;
  readonly issuer: Issuer;
  readonly reader: TokenCache;
  readonly worker: TokenCache;
  /** The worker with tokens for another API of the same issuer. */
  readonly otherApiWorker: TokenCache;
}

const NEW_ORDER = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"item":"coffee"}' };

/** Steps without a token, for any issuer. */
export function openSteps(api: string): Step[] {
  return [
    request('GET /health is open', () => fetch(`${api}/health`), { status: 200 }),
    request('GET /orders without a token', () => fetch(`${api}/orders`), {
      status: 401,
      challenge: /^Bearer realm="orders"$/,
    }),
  ];
}

/** The steps of the orders API: tokens, rejections, a key rotation. */
export function walkthrough({ api, issuer, reader, worker, otherApiWorker }: Walkthrough): Step[] {
  const by = (cache: TokenCache, path: string, init?: RequestInit) => () => callApi(cache, api + path, init);
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
    request('GET /orders with a token for another API', by(otherApiWorker, '/orders'), {
      status: 401,
      challenge: /error="invalid_token".*for another audience/,
    }),
    request(
      'GET /orders with a tampered token',
      async () => fetch(`${api}/orders`, { headers: { Authorization: `Bearer ${tamper(await reader.token())}` } }),
      { status: 401, challenge: /error="invalid_token".*signature/ },
    ),
    rotate('The issuer signs with a new key', issuer, worker),
    request('GET /orders with a token signed with the new key', by(worker, '/orders'), { status: 200 }),
    request('GET /orders with a token signed with the old key', by(reader, '/orders'), { status: 200 }),
  ];
}

/** Changes the claims of a token and keeps its signature. */
export function tamper(token: string): string {
  const [header, , signature] = token.split('.');
  const claims = { ...decodeJwt(token), client_id: 'worker', scope: 'orders:read orders:write' };
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
}

function fetchToken(title: string, cache: TokenCache, scope: string): Step {
  return {
    title,
    run: async () => {
      const { client_id: clientId, scope: granted, aud } = decodeJwt(await cache.token());
      const seen = `client_id=${String(clientId)} aud=${String(aud)} scope="${String(granted)}"`;
      if (granted !== scope) throw new Error(`expected the scope "${scope}", got ${seen}`);
      return seen;
    },
  };
}

function rotate(title: string, issuer: Issuer, cache: TokenCache): Step {
  const keyId = async (): Promise<string> => String(decodeProtectedHeader(await cache.token()).kid);
  return {
    title,
    run: async () => {
      const before = await keyId();
      await issuer.rotateKey();
      cache.invalidate();
      const after = await keyId();
      if (after === before) throw new Error(`expected another key than ${before}`);
      return `kid ${before} -> ${after}`;
    },
  };
}
