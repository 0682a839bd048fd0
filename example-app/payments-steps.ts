import { decodeJwt } from 'jose';
import type { DpopClient } from './dpop-client.js';
import { request, type Step } from './steps.js';

export interface PaymentsWalkthrough {
  readonly api: string;
  readonly payer: DpopClient;
}

/** Steps without a token, for any issuer. */
export function openPaymentsSteps(api: string): Step[] {
  return [
    request('GET /payments without a token', () => fetch(`${api}/payments`), {
      status: 401,
      challenge: /^DPoP realm="payments", algs="[^"]*ES256/,
    }),
  ];
}

/** A stolen DPoP-bound token is useless, even together with a proof. */
export function paymentsSteps({ api, payer }: PaymentsWalkthrough): Step[] {
  const url = `${api}/payments`;
  const steal = async (scheme: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(url, { headers: { ...headers, Authorization: `${scheme} ${await payer.cache.token()}` } });
  return [
    ...openPaymentsSteps(api),
    { title: 'The payer fetches a token that is bound to its key', run: () => describeBinding(payer) },
    request('GET /payments by the payer, with proofs', () => payer.get(url), { status: 200 }),
    request('GET /payments by a thief with the token', () => steal('Bearer'), {
      status: 401,
      challenge: /^DPoP realm="payments", error="invalid_token".*bound to a key/,
    }),
    request('GET /payments by a thief with token and proof', () => steal('DPoP', { DPoP: payer.lastProof() }), {
      status: 401,
      challenge: /^DPoP realm="payments", error="invalid_dpop_proof".*used before/,
    }),
  ];
}

async function describeBinding({ cache }: DpopClient): Promise<string> {
  const { cnf } = decodeJwt(await cache.token());
  if (typeof cnf !== 'object' || cnf === null || !('jkt' in cnf)) throw new Error('expected a token with cnf.jkt');
  return `cnf.jkt=${String(cnf.jkt)}, the thumbprint of the public key`;
}
