import { InvalidRequestError } from '../errors.js';

/** What this request presented. */
export interface Credentials {
  readonly scheme: 'Bearer';
  readonly token: string;
}

/** The parts of a request that credentials are read from; every Node request has them. */
export interface CredentialsSource {
  readonly headers: { readonly authorization?: string | undefined };
  /** Name, value, name, value …, as received: the only place where a repeated header is still seen. */
  readonly rawHeaders?: readonly string[];
}

// RFC 9110 §11.4: credentials = auth-scheme 1*SP token68. The classes do not overlap, so matching is linear.
const TOKEN68 = /^[A-Za-z0-9\-._~+/]+=*$/;
// The name may not go on (RFC 9110 §5.6.2); whatever else follows it is a credential of ours, if a malformed one.
const BEARER = /^bearer(?![\w!#$%&'*+.^`|~-])(?: +(.*)|.*)$/is;
const SECOND_CREDENTIAL = /,[ \t]*(?:bearer|dpop)[ \t]/i;

/**
 * Reads the `Authorization` header (RFC 6750 §2.1). A scheme that is not ours is no credential of ours: `undefined`.
 * Several headers, several credentials in one header, or a bearer credential outside the grammar of RFC 9110 §11.4 are
 * an `InvalidRequestError`.
 */
export function readAuthorization(request: CredentialsSource): Credentials | undefined {
  const value = request.headers.authorization;
  if (value === undefined) return undefined;
  if (hasSeveral(request.rawHeaders)) throw new InvalidRequestError('several_credentials');
  const match = BEARER.exec(value);
  if (match === null) {
    if (SECOND_CREDENTIAL.test(value)) throw new InvalidRequestError('several_credentials');
    return undefined;
  }
  return { scheme: 'Bearer', token: assertToken68(match[1] ?? '') };
}

/** Checks a token from any place against the grammar that every access token keeps (RFC 6750 §2.1). */
export function assertToken68(token: string): string {
  if (TOKEN68.test(token)) return token;
  throw new InvalidRequestError(token.includes(',') ? 'several_credentials' : 'malformed_credentials');
}

// Node keeps the first of several Authorization headers and drops the rest without a word; a proxy in front may have
// looked at the last one.
function hasSeveral(rawHeaders: readonly string[] | undefined): boolean {
  if (rawHeaders === undefined) return false;
  let seen = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name?.length === 13 && name.toLowerCase() === 'authorization') seen++;
  }
  return seen > 1;
}
