import { JwtVerifier } from 'aws-jwt-verify';
import { SimpleJwksCache } from 'aws-jwt-verify/jwk';
import { middlewareOf } from './reject.js';

// Its own fetcher speaks https only; the issuer of this benchmark is on loopback.
const fetcher = { fetch: async (uri) => (await fetch(uri)).arrayBuffer() };

export function make({ issuer, audience, jwksUri }) {
  const verifier = JwtVerifier.create({ issuer, audience, jwksUri }, { jwksCache: new SimpleJwksCache({ fetcher }) });
  return { middleware: middlewareOf((token) => verifier.verify(token)), clientOf: (req) => req.auth.client_id };
}
