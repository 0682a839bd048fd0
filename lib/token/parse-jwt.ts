import { InvalidTokenError } from '../errors.js';
import { deepFreeze } from '../util/deep-freeze.js';
import { isPlainObject } from '../util/is-plain-object.js';

/** The JOSE header of a JWS (RFC 7515 §4), as parsed: nothing in it is to be believed. */
export interface JwtHeader {
  readonly alg: string;
  readonly kid?: string | undefined;
  readonly typ?: string | undefined;
  readonly [parameter: string]: unknown;
}

/** A compact JWS taken apart. Nothing of it has been verified. */
export interface ParsedJwt {
  readonly header: JwtHeader;
  readonly claims: Readonly<Record<string, unknown>>;
  /** The bytes that were signed, as text: header and payload as received (RFC 7515 §5.2). */
  readonly signingInput: string;
  /** base64url. */
  readonly signature: string;
}

const BASE64URL = /^[A-Za-z0-9_-]*$/;
/** The last characters that a segment may have, by its length modulo 4; all of them for 0, none for 1. */
const LAST_CHARACTERS: readonly (string | undefined)[] = ['', undefined, 'AQgw', 'AEIMQUYcgkosw048'];
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The segments of a compact JWS, as received. */
export interface CompactJws {
  /** base64url. */
  readonly header: string;
  /** base64url. */
  readonly payload: string;
  readonly signingInput: string;
  readonly signature: string;
}

/**
 * Takes a JWT in compact serialization apart (RFC 7519 §7.2, steps 1 to 10). Three segments of base64url, header and
 * payload valid UTF-8 and JSON objects; of duplicate members the last counts (RFC 7519 §4). JWS JSON, JWE and unsecured
 * tokens are refused as malformed.
 */
export function parseJwt(token: string, maxTokenBytes: number): ParsedJwt {
  const { header: headerSegment, payload, signingInput, signature } = splitJws(token, maxTokenBytes);
  const header = parseHeader(headerSegment);
  const { alg, kid, typ } = header;
  if (typeof alg !== 'string' || alg === '') throw new InvalidTokenError('malformed');
  if (kid !== undefined && typeof kid !== 'string') throw new InvalidTokenError('malformed');
  if (typ !== undefined && typeof typ !== 'string') throw new InvalidTokenError('malformed');
  return { header: header as JwtHeader, claims: parseSegment(payload), signingInput, signature };
}

/** The first steps of that: three segments, the last of base64url and not empty. The others are not looked at yet. */
export function splitJws(token: string, maxTokenBytes: number): CompactJws {
  // The length in UTF-16 units is never more than the length in bytes, so this bounds the work before any scan of it.
  if (token.length > maxTokenBytes) throw new InvalidTokenError('too_large');
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  // RFC 7519 §3: three segments. Other tokens are probably opaque, or a JWE.
  if (first < 0 || second < 0 || token.includes('.', second + 1)) throw new InvalidTokenError('not_a_jwt');
  const signature = token.slice(second + 1);
  if (signature === '' || !isBase64url(signature)) throw new InvalidTokenError('malformed');
  return {
    header: token.slice(0, first),
    payload: token.slice(first + 1, second),
    signingInput: token.slice(0, second),
    signature,
  };
}

let lastHeader: { readonly segment: string; readonly header: Record<string, unknown> } | undefined;

// The tokens of an issuer nearly all have the same header, so the last one is kept: parsed once, and held once however
// many tokens are remembered.
function parseHeader(segment: string): Record<string, unknown> {
  if (lastHeader?.segment !== segment) lastHeader = { segment, header: deepFreeze(parseSegment(segment)) };
  return lastHeader.header;
}

/** One segment of a JWT: base64url of a JSON object. */
export function parseSegment(segment: string): Record<string, unknown> {
  if (!isBase64url(segment)) throw new InvalidTokenError('malformed');
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(Buffer.from(segment, 'base64url')));
  } catch (cause) {
    throw new InvalidTokenError('malformed', { cause });
  }
  if (!isPlainObject(value)) throw new InvalidTokenError('malformed');
  return value;
}

/**
 * Whether a segment is base64url without padding, in its only canonical spelling: the bits of the last character that no
 * byte uses are zero (RFC 4648 §3.5). Otherwise one token has several spellings.
 */
export function isBase64url(segment: string): boolean {
  const ends = LAST_CHARACTERS[segment.length % 4];
  return ends !== undefined && BASE64URL.test(segment) && (ends === '' || ends.includes(segment.at(-1) ?? ' '));
}
