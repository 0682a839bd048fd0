/** The least that a known token can cost: look up the text of the header, set `req.auth`, call next. It checks nothing. */
import { CLIENT } from '../harness/tokens.js';
import { reject } from './reject.js';

export function make({ tokens }) {
  const known = new Map(tokens.map((token) => [`Bearer ${token}`, Object.freeze({ client: CLIENT })]));
  const middleware = (req, res, next) => {
    const auth = known.get(req.headers.authorization);
    if (auth === undefined) return reject(res);
    req.auth = auth;
    next();
  };
  return { middleware, clientOf: (req) => req.auth.client };
}
