import { Router } from 'express';
import { bearer, getAuth, introspectionVerifier, requireScopes } from 'express-resource-server';

export interface PartnerApiOptions {
  /** The issuer of the accepted access tokens. */
  readonly issuer: string;
  /** The identifier of this API in the `aud` of introspection responses. */
  readonly audience: string;
  /** The credentials of this API for introspection. */
  readonly clientId: string;
  readonly clientSecret: string;
}

export interface PartnerApi {
  readonly router: Router;
  /** For a webhook that reports revoked tokens: the next request with this token is introspected again. */
  readonly invalidate: (token: string) => Promise<void>;
}

/** How long a revoked token may still be accepted without such a webhook. Seconds. */
export const REVOKED_WITHIN = 5;

/** The shipments API for partners, with opaque tokens, which the issuer can revoke. */
export function createPartnerApi(options: PartnerApiOptions): PartnerApi {
  // The verifier is needed for `invalidate`. Without that, introspectionBearer(options) replaces both lines.
  const verifier = introspectionVerifier({ ...options, cache: { maxAge: REVOKED_WITHIN } });
  const router = Router();
  router.use(bearer(verifier, { realm: 'partner' }));

  router.get('/shipments', requireScopes('shipments:read'), (req, res) => {
    res.json({ shipments: [{ id: 1, item: 'tea' }], client: getAuth(req).clientId });
  });

  return { router, invalidate: (token) => verifier.invalidate(token) };
}
