import { bearer, getAuth, jwtVerifier, trustedIssuers } from 'express-resource-server';

/** As many verifiers as there are issuers. */
export function make({ issuers, audience }) {
  const verifiers = issuers.map((issuer) => jwtVerifier({ issuer, audience }));
  return { middleware: bearer(trustedIssuers(verifiers)), clientOf: (req) => getAuth(req).clientId };
}
