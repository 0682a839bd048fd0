import type { Scheme } from '../challenge.js';
import { type FailedCheck, InvalidRequestError, MissingTokenError } from '../errors.js';
import { type FieldSource, readField } from './header-fields.js';

/** What this request presented. */
export interface Credentials {
  readonly scheme: Scheme;
  readonly token: string;
}

// RFC 9110 §11.4: credentials = auth-scheme 1*SP token68. The classes do not overlap, so matching is linear.
const TOKEN68 = /^[A-Za-z0-9\-._~+/]+=*$/;
// The name may not go on (RFC 9110 §5.6.2); whatever else follows it is a credential of ours, if a malformed one.
const CREDENTIALS = /^(bearer|dpop)(?![\w!#$%&'*+.^`|~-])(?: +(.*)|.*)$/is;
// `eyJ` is how the base64url of `{"` begins.
const BARE_JWT = /^eyJ[\w-]*\.[\w-]+\.[\w-]*$/;
const SECOND_CREDENTIAL = /,[ \t]*(?:bearer|dpop)[ \t]/i;

/**
 * Reads the `Authorization` header (RFC 6750 §2.1, RFC 9449 §7.1). A scheme that is not ours is no credential of ours:
 * `undefined`. Several headers, several credentials in one header, or a credential outside the grammar of RFC 9110 §11.4
 * are an `InvalidRequestError`.
 */
export function readAuthorization(request: FieldSource): Credentials | undefined {
  const field = readField(request, 'authorization');
  if (field === undefined) return undefined;
  if (field === 'several') throw severalCredentials();
  const match = CREDENTIALS.exec(field.value);
  if (match === null) {
    if (SECOND_CREDENTIAL.test(field.value)) throw severalCredentials();
    if (BARE_JWT.test(field.value)) {
      const cause: FailedCheck = { checked: 'scheme', expected: 'Bearer', found: undefined };
      throw new MissingTokenError({ reason: 'scheme_missing', cause });
    }
    return undefined;
  }
  const scheme = match[1]?.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer';
  return { scheme, token: assertToken68(match[2] ?? '') };
}

/** Checks a token from any place against the grammar that every access token keeps (RFC 6750 §2.1). */
export function assertToken68(token: string): string {
  if (TOKEN68.test(token)) return token;
  if (token.includes(',')) throw severalCredentials();
  const cause: FailedCheck = {
    checked: 'Authorization',
    expected: 'Bearer <token>, with a token68 token',
    found: undefined,
  };
  throw new InvalidRequestError('malformed_credentials', { cause });
}

function severalCredentials(): InvalidRequestError {
  const cause: FailedCheck = { checked: 'credentials', expected: 'one', found: 'several' };
  return new InvalidRequestError('several_credentials', { cause });
}
