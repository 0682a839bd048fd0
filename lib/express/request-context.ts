import type { IncomingMessage } from 'node:http';
import { RequestDigest } from '../token/token-digest.js';
import type { VerifierContext } from '../verify/token-verifier.js';

/**
 * What verifiers know of the request. Reads the address only if a verifier needs it: a read of an Express request is
 * expensive.
 */
export class RequestContext extends RequestDigest implements VerifierContext {
  readonly #req: IncomingMessage;

  constructor(req: IncomingMessage) {
    super();
    this.#req = req;
  }

  get remoteAddress(): string | undefined {
    // Express's `req.ip` respects `trust proxy`.
    const ip: unknown = 'ip' in this.#req ? this.#req.ip : undefined;
    return typeof ip === 'string' ? ip : this.#req.socket.remoteAddress;
  }
}
