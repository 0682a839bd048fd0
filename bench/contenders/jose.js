import { createRemoteJWKSet, jwtVerify } from 'jose';
import { middlewareOf } from './reject.js';

export function make({ issuer, audience, jwksUri, alg }) {
  const keys = createRemoteJWKSet(new URL(jwksUri));
  const verify = async (token) => (await jwtVerify(token, keys, { issuer, audience, algorithms: [alg] })).payload;
  return { middleware: middlewareOf(verify), clientOf: (req) => req.auth.client_id };
}
