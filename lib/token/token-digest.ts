import { hash } from 'node:crypto';

/** The key of a token in a cache, which must not store the token itself. A value that is not a string has none: ''. */
export function tokenDigest(token: string): string {
  return typeof token === 'string' ? hash('sha256', token, 'base64') : '';
}

/** Computes the digest of the token of one request once, however many caches the request passes. It ends with the request. */
export class RequestDigest {
  #token: string | undefined;
  #digest = '';

  of(token: string): string {
    if (this.#token !== token) {
      this.#token = token;
      this.#digest = tokenDigest(token);
    }
    return this.#digest;
  }
}

/** The digest of a token that is verified in a context. A caller may pass a context of its own. */
export function digestIn(context: unknown, token: string): string {
  return context instanceof RequestDigest ? context.of(token) : tokenDigest(token);
}
