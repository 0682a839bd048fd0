/** With the keys of the issuer. It reads the key again for each token. */
import { createPublicKey } from 'node:crypto';
import { createVerifier } from 'fast-jwt';
import buildGetJwks from 'get-jwks';
import { middlewareOf } from './reject.js';

export function make({ issuer, audience, alg }) {
  const getJwks = buildGetJwks();
  // The PEM is created once per key; getJwks.getPublicKey() would create it at each call, and does not support Ed25519.
  const pems = new WeakMap();
  const pemOf = (jwk) => {
    const pem = pems.get(jwk) ?? createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    pems.set(jwk, pem);
    return pem;
  };
  const verify = createVerifier({
    key: async ({ header }) => pemOf(await getJwks.getJwk({ domain: issuer, kid: header.kid, alg: header.alg })),
    algorithms: [alg],
    allowedIss: issuer,
    allowedAud: audience,
  });
  return { middleware: middlewareOf(verify), clientOf: (req) => req.auth.client_id };
}
