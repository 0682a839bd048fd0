import { Router } from 'express';
import { getAuth, jwtBearer, requireScopes } from 'express-resource-server';

export interface PaymentsApiOptions {
  /** Whose access tokens are accepted. */
  readonly issuer: string;
  /** This API's identifier, as the issuer writes it into `aud`. */
  readonly audience: string;
}

/** The payments API: a token is worth nothing here without the key that it is bound to. */
export function createPaymentsApi({ issuer, audience }: PaymentsApiOptions): Router {
  const router = Router();
  // Behind a proxy, and wherever the host's name is known: baseUrl: 'https://api.example.com'.
  router.use(jwtBearer({ issuer, audience, realm: 'payments', dpop: { mode: 'required', nonce: true } }));

  router.get('/', requireScopes('payments:read'), (req, res) => {
    const { clientId, scheme } = getAuth(req);
    res.json({ payments: [], askedBy: clientId, scheme });
  });

  return router;
}
