import { expressjwt } from 'express-jwt';
import jwksRsa from 'jwks-rsa';

export function make({ issuer, audience, jwksUri, alg }) {
  const secret = jwksRsa.expressJwtSecret({ cache: true, rateLimit: true, jwksRequestsPerMinute: 5, jwksUri });
  return {
    middleware: expressjwt({ secret, audience, issuer, algorithms: [alg] }),
    clientOf: (req) => req.auth.client_id,
  };
}
