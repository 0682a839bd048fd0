import { createPublicKey, verify } from 'node:crypto';
import { reject } from './reject.js';

const HASHES = { RS256: 'sha256', ES256: 'sha256', EdDSA: null };

/** The minimum cost of a verification: split, parse, compare, and one signature check with an imported key. */
export function make({ issuer, audience, alg, jwks }) {
  const keys = new Map(jwks.keys.map((jwk) => [jwk.kid, createPublicKey({ key: jwk, format: 'jwk' })]));
  const parse = (segment) => JSON.parse(Buffer.from(segment, 'base64url').toString());

  const read = (token) => {
    const [head, body, signature] = token.split('.');
    const { kid, alg: named } = parse(head);
    const claims = parse(body);
    const key = keys.get(kid);
    if (key === undefined || named !== alg) return undefined;
    if (claims.iss !== issuer || claims.aud !== audience || claims.exp <= Date.now() / 1000) return undefined;
    const data = Buffer.from(`${head}.${body}`);
    const options = alg === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' } : key;
    return verify(HASHES[alg], data, options, Buffer.from(signature, 'base64url')) ? claims : undefined;
  };

  const middleware = (req, res, next) => {
    const claims = read(req.headers.authorization.slice('Bearer '.length));
    if (claims === undefined) return reject(res);
    req.auth = claims;
    next();
  };
  return { middleware, clientOf: (req) => req.auth.client_id };
}
