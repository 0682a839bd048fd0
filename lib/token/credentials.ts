import type { Scheme } from '../challenge.js';
import { makeFailedCheck, InvalidRequestError, MissingTokenError } from '../errors.js';
import { type FieldSource, readField } from './header-fields.js';

/** What this request presented. */
export interface Credentials {
  readonly scheme: Scheme;
  readonly token: string;
}

/** RFC 9110 §11.4, RFC 6750 §2.1. The character classes do not overlap, so matching is linear. */
const TOKEN68 = /^[A-Za-z0-9\-._~+/]+=*$/;
/** RFC 6749 §A.12: printable ASCII. */
const VSCHARS = /^[\x20-\x7e]+$/;
// The scheme must end here (RFC 9110 §5.6.2). Everything after it belongs to credentials for this package, even if they are
// malformed.
const CREDENTIALS = /^(bearer|dpop)(?![\w!#$%&'*+.^`|~-])(?: +(.*)|(.*))$/is;
const USUAL = 'Bearer ';
/** `eyJ` is the beginning of the base64url of `{"`. */
const BARE_JWT = /^eyJ[\w-]*\.[\w-]+\.[\w-]*$/;
const SECOND_CREDENTIAL = /,[ \t]*(?:bearer|dpop)[ \t]/i;

/**
 * Reads the `Authorization` header (RFC 6750 §2.1, RFC 9449 §7.1). `undefined` without the header and for schemes of others.
 *
 * @throws InvalidRequestError for several headers, several credentials in one header, or a token outside its grammar.
 * @throws MissingTokenError for a JWT without a scheme.
 */
export function readAuthorization(request: FieldSource, allowsAnyCharacters = false): Credentials | undefined {
  const field = readField(request, 'authorization');
  if (field === undefined) return undefined;
  if (field === 'several') throw severalCredentials();
  return parseCredentials(field.value, allowsAnyCharacters);
}

function parseCredentials(text: string, allowsAnyCharacters: boolean): Credentials | undefined {
  // What nearly all clients send, without a search through the whole token.
  if (text.startsWith(USUAL) && text[USUAL.length] !== ' ') {
    return { scheme: 'Bearer', token: assertToken(text.slice(USUAL.length), allowsAnyCharacters) };
  }
  const match = CREDENTIALS.exec(text);
  if (match === null) {
    if (SECOND_CREDENTIAL.test(text)) throw severalCredentials();
    if (BARE_JWT.test(text)) {
      const cause = makeFailedCheck('scheme', 'Bearer', undefined);
      throw new MissingTokenError({ reason: 'scheme_missing', cause });
    }
    return undefined;
  }
  const scheme = match[1]?.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer';
  const [, , token, rest = ''] = match;
  if (token === undefined && rest !== '') throw malformed(allowsAnyCharacters, nameOf(rest.charAt(0)));
  return { scheme, token: assertToken(token ?? '', allowsAnyCharacters) };
}

/**
 * Reads `Bearer …` or `DPoP …` from a text, such as a header of a WebSocket handshake or a message of GraphQL. It checks
 * only the form, and no proof of possession: verify the token, and reject one with `cnf` if nothing can prove it.
 *
 * @throws MissingTokenError if the text has no token of these schemes; InvalidRequestError if it is malformed, or has
 * several.
 */
export function readCredentials(text: string): Credentials {
  const isText: boolean = typeof text === 'string';
  const credentials = isText ? parseCredentials(text.trim(), false) : undefined;
  if (credentials !== undefined) return credentials;
  const cause = makeFailedCheck('credentials', 'Bearer <token>', undefined);
  throw new MissingTokenError({ cause });
}

/**
 * Checks a token from any place against the grammar of access tokens: token68 (RFC 6750 §2.1), or all printable ASCII
 * characters (RFC 6749 §A.12).
 *
 * @throws InvalidRequestError
 */
export function assertToken(token: string, allowsAnyCharacters: boolean): string {
  const isValid = allowsAnyCharacters ? VSCHARS.test(token) && !SECOND_CREDENTIAL.test(token) : TOKEN68.test(token);
  if (isValid) return token;
  if (token.includes(',')) throw severalCredentials();
  throw malformed(allowsAnyCharacters, describeText(token));
}

function malformed(allowsAnyCharacters: boolean, found: string): InvalidRequestError {
  const expected = allowsAnyCharacters ? 'a token of printable ASCII characters' : 'a token of token68 characters';
  const cause = makeFailedCheck('token', expected, found);
  return new InvalidRequestError('malformed_credentials', { cause });
}

/** Why a text is not a token. It shows one character at most, and none that a token may have. */
function describeText(text: string): string {
  if (text === '') return 'nothing';
  if (/^(?:bearer|dpop)[ \t:]/i.test(text)) return 'a second scheme';
  const index = text.search(/[^A-Za-z0-9\-._~+/=]/);
  return index < 0 ? 'padding before the end' : nameOf(text.charAt(index));
}

function nameOf(character: string): string {
  if (character === ' ') return 'a space';
  if (character === '\t') return 'a tab';
  if (character === '"' || character === "'") return 'a quotation mark';
  return /^[\x21-\x7e]$/.test(character) ? `the character ${character}` : 'a character outside of printable ASCII';
}

/** The error for a request with several credentials. */
export function severalCredentials(): InvalidRequestError {
  const cause = makeFailedCheck('credentials', 'one', 'several');
  return new InvalidRequestError('several_credentials', { cause });
}
