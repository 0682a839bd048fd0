import { Router } from 'express';
import { bearer, getAuth, introspectionVerifier, requireScopes } from 'express-resource-server';

export interface PartnerApiOptions {
  /** Whose access tokens are accepted. */
  readonly issuer: string;
  /** This API's identifier, as the issuer's answers have it in `aud`. */
  readonly audience: string;
  /** What the API itself authenticates with when it asks the issuer about a token. */
  readonly clientId: string;
  readonly clientSecret: string;
}

export interface PartnerApi {
  readonly router: Router;
  /** For a webhook of the issuer's that tells of revoked tokens: the next request with this one is asked about anew. */
  readonly forget: (token: string) => Promise<void>;
}

/** How long a revoked token may still be accepted where nobody tells the API. Seconds. */
export const REVOKED_WITHIN = 5;

/** The shipments API for partners: opaque tokens, which only their issuer can read and which it can revoke. */
export function createPartnerApi(options: PartnerApiOptions): PartnerApi {
  // introspectionBearer(options) is both of these lines in one, for who has no use for the verifier itself.
  const verifier = introspectionVerifier({ ...options, cache: { maxAge: REVOKED_WITHIN } });
  const router = Router();
  router.use(bearer(verifier, { realm: 'partner' }));

  router.get('/shipments', requireScopes('shipments:read'), (req, res) => {
    res.json({ shipments: [{ id: 1, item: 'tea' }], askedBy: getAuth(req).clientId });
  });

  return { router, forget: (token) => verifier.invalidate(token) };
}
