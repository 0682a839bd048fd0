import { isWithinLimits, parseJsonObject } from '../util/json.js';
import { isBase64url, JWT_LIMITS } from './parse-jwt.js';
import { rejectToken } from './reject-token.js';

/** The media types of JWTs (RFC 8725 §3.11) end like this, for example `logout+jwt` and `dc+sd-jwt`. */
const JWT_TYPE = /[+-]jwt$/;
const ACCESS_TOKEN_TYPE = 'at+jwt'; // RFC 9068 §2.1

/**
 * Checks a token before it is sent to introspection. A token that is not a JWT is opaque and passes. A JWT, signed or
 * encrypted, must not be another kind of JWT by its header, and its segments must be canonical base64url: otherwise one
 * token has several spellings, and each of them is cached and invalidated separately.
 *
 * The server decides everything else; the header is not verified here.
 *
 * @throws InvalidTokenError
 */
export function checkIntrospectedJwt(token: string): void {
  const segments = token.split('.', 6);
  const header = segments.length === 3 || segments.length === 5 ? readHeader(segments[0] ?? '') : undefined;
  if (header === undefined) return;
  if (!segments.every(isBase64url)) rejectToken('malformed', 'token', 'base64url', undefined);
  const type = typeof header.typ === 'string' ? header.typ.toLowerCase().replace(/^.*\//, '') : '';
  if (JWT_TYPE.test(type) && type !== ACCESS_TOKEN_TYPE)
    rejectToken('type_refused', 'typ', ACCESS_TOKEN_TYPE, header.typ);
}

/** The header of a JWT in any spelling of base64; `undefined` if the token is not a JWT. */
function readHeader(segment: string): Record<string, unknown> | undefined {
  const json = Buffer.from(segment, 'base64url').toString();
  // It may be the header of a JWT, so the token is not opaque.
  if (json.startsWith('{') && !isWithinLimits(json, JWT_LIMITS)) {
    rejectToken('malformed', 'header', 'a JSON object within the limits', undefined);
  }
  const header = parseJsonObject(json, JWT_LIMITS);
  return typeof header?.alg === 'string' ? header : undefined;
}
