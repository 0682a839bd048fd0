import { hash } from 'node:crypto';

/** The key of a token in a cache, which must not store the token itself. A value that is not a string has none: ''. */
export function tokenDigest(token: string): string {
  return typeof token === 'string' ? hash('sha256', token, 'base64') : '';
}
