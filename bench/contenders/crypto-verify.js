/** The least that a new token can cost: one `crypto.verify` with a key in memory. It reads no header and no claim. */
import { signatureCheck } from '../harness/signature.js';
import { CLIENT } from '../harness/tokens.js';
import { reject } from './reject.js';

const AUTH = Object.freeze({ client: CLIENT });

export function make({ alg, jwks }) {
  const isSigned = signatureCheck(
    alg,
    jwks.keys.find((jwk) => jwk.alg === alg),
  );
  const middleware = (req, res, next) => {
    if (!isSigned(req.headers.authorization.slice('Bearer '.length))) return reject(res);
    req.auth = AUTH;
    next();
  };
  return { middleware, clientOf: (req) => req.auth.client };
}
