import { allowInsecureRequests, validateJwtAccessToken } from 'oauth4webapi';
import { reject } from './reject.js';

const { Request } = globalThis;

export function make({ issuer, audience, jwksUri, alg }) {
  const server = { issuer, jwks_uri: jwksUri };
  const options = { [allowInsecureRequests]: true, signingAlgorithms: [alg] };
  const middleware = (req, res, next) => {
    const request = new Request('http://localhost/', { headers: { authorization: req.headers.authorization } });
    validateJwtAccessToken(server, request, audience, options).then(
      (claims) => {
        req.auth = claims;
        next();
      },
      () => reject(res),
    );
  };
  return { middleware, clientOf: (req) => req.auth.client_id };
}
