import type { Auth } from './token/access-token.js';

declare global {
  // Express's own place for additions to its request.
  namespace Express {
    interface Request {
      /** Who is calling; set by a bearer middleware. */
      auth?: Auth | undefined;
    }
  }
}
