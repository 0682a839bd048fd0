import { getAuth, introspectionBearer } from 'express-resource-server';

// Longer than a run, so that a round of cached tokens causes no introspection.
const cache = { maxAge: 3600 };

export function make({ issuer, audience, introspection: { clientId, clientSecret } }) {
  return {
    middleware: introspectionBearer({ issuer, audience, clientId, clientSecret, cache }),
    clientOf: (req) => getAuth(req).clientId,
  };
}
