import { callApi } from './client.js';
import { REVOKED_WITHIN } from './partner-api.js';
import { request, type Step } from './steps.js';
import type { TokenCache } from './token-cache.js';

export interface PartnerWalkthrough {
  readonly api: string;
  readonly partner: TokenCache;
  /** Revokes a token of the partner at the issuer. */
  readonly revoke: (token: string) => Promise<void>;
  /** The action of a webhook that reports a revocation. */
  readonly invalidate: (token: string) => Promise<void>;
}

/** Steps without a token, for any issuer. */
export function openPartnerSteps(api: string): Step[] {
  return [
    request('GET /partner/shipments without a token', () => fetch(`${api}/partner/shipments`), {
      status: 401,
      challenge: /^Bearer realm="partner"$/,
    }),
  ];
}

/** The life of an opaque token: issued, accepted, revoked, rejected. */
export function partnerSteps({ api, partner, revoke, invalidate }: PartnerWalkthrough): Step[] {
  const get = (path: string) => () => callApi(partner, api + path);
  return [
    ...openPartnerSteps(api),
    { title: 'The partner fetches an opaque token', run: async () => describeOpaque(await partner.token()) },
    request('GET /partner/shipments by the partner', get('/partner/shipments'), { status: 200 }),
    request('GET /orders with the opaque token', get('/orders'), {
      status: 401,
      challenge: /^Bearer realm="orders", error="invalid_token"/,
    }),
    {
      title: 'The partner revokes its token at the issuer',
      run: async () => {
        await revoke(await partner.token());
        return `the API may accept the token for up to ${REVOKED_WITHIN} more seconds`;
      },
    },
    {
      title: 'A webhook reports the revocation to the API',
      run: async () => {
        await invalidate(await partner.token());
        return 'verifier.invalidate(token): the next request is introspected again';
      },
    },
    request('GET /partner/shipments with the revoked token', get('/partner/shipments'), {
      status: 401,
      challenge: /^Bearer realm="partner", error="invalid_token"/,
    }),
  ];
}

function describeOpaque(token: string): string {
  if (token.includes('.')) throw new Error('expected an opaque token, got a token with dots, like a JWT');
  return `${token.length} characters that only the issuer can interpret`;
}
