import { Router } from 'express';
import { getAuth, jwtBearer, requireScopes } from 'express-resource-server';

export interface PaymentsApiOptions {
  /** The issuer of the accepted access tokens. */
  readonly issuer: string;
  /** The identifier of this API in `aud`. */
  readonly audience: string;
}

/** The payments API: it accepts only DPoP-bound tokens, with a proof of their key. */
export function createPaymentsApi({ issuer, audience }: PaymentsApiOptions): Router {
  const router = Router();
  // In production, also set baseUrl: 'https://api.example.com', because proofs contain the URL of the request.
  router.use(jwtBearer({ issuer, audience, realm: 'payments', dpop: { mode: 'required', nonce: true } }));

  router.get('/', requireScopes('payments:read'), (req, res) => {
    const { clientId, scheme } = getAuth(req);
    res.json({ payments: [], client: clientId, scheme });
  });

  return router;
}
