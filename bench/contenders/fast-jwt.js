/** At its fastest: with one key in memory, and so without discovery and without key rotation. */
import { createPublicKey } from 'node:crypto';
import { createVerifier } from 'fast-jwt';
import { reject } from './reject.js';

export function make({ issuer, audience, alg, jwks }, cache = false) {
  const jwk = jwks.keys.find((each) => each.alg === alg);
  const key = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  const verify = createVerifier({ key, algorithms: [alg], allowedIss: issuer, allowedAud: audience, cache });
  const middleware = (req, res, next) => {
    const [scheme, token] = (req.headers.authorization ?? '').split(' ');
    if (scheme !== 'Bearer' || !token) return reject(res);
    try {
      req.auth = verify(token);
    } catch {
      return reject(res);
    }
    next();
  };
  return { middleware, clientOf: (req) => req.auth.client_id };
}
