import { callApi } from './client.js';
import { REVOKED_WITHIN } from './partner-api.js';
import { request, type Step } from './steps.js';
import type { TokenKeeper } from './token-keeper.js';

export interface PartnerWalkthrough {
  readonly api: string;
  readonly partner: TokenKeeper;
  /** Revokes a token of the partner's at the issuer. */
  readonly revoke: (token: string) => Promise<void>;
  /** What a webhook does that hears of a revocation. */
  readonly forget: (token: string) => Promise<void>;
}

/** What can be seen without a token, whoever the issuer is. */
export function openPartnerSteps(api: string): Step[] {
  return [
    request('GET /partner/shipments without a token', () => fetch(`${api}/partner/shipments`), {
      status: 401,
      challenge: /^Bearer realm="partner"$/,
    }),
  ];
}

/** The life of an opaque token: issued, accepted, revoked, refused. */
export function partnerSteps({ api, partner, revoke, forget }: PartnerWalkthrough): Step[] {
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
        return `nobody told the API: it may accept the token for up to ${REVOKED_WITHIN} seconds more`;
      },
    },
    {
      title: 'A webhook tells the API, which forgets the token',
      run: async () => {
        await forget(await partner.token());
        return 'verifier.forget(token): the issuer is asked at the next request';
      },
    },
    request('GET /partner/shipments with the revoked token', get('/partner/shipments'), {
      status: 401,
      challenge: /^Bearer realm="partner", error="invalid_token"/,
    }),
  ];
}

function describeOpaque(token: string): string {
  if (token.includes('.')) throw new Error('expected an opaque token, got one with dots, such as a JWT has');
  return `${token.length} characters that only the issuer can make sense of`;
}
