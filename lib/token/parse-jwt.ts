import { TextDecoder } from 'node:util';
import { deepFreeze } from '../util/deep-freeze.js';
import { type JsonLimits, parseJsonObject } from '../util/json.js';
import { rejectToken } from './reject-token.js';

/** The JOSE header of a JWS (RFC 7515 §4), as parsed. Nothing in it may be trusted. */
export interface JwtHeader {
  readonly alg: string;
  readonly kid?: string | undefined;
  readonly typ?: string | undefined;
  readonly [parameter: string]: unknown;
}

/** A parsed compact JWS. Nothing in it has been verified. */
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
const BASE64URL_RULE = 'base64url without padding, in its canonical spelling';
/** Limits of a header and of a payload: a token of the default size that exceeds them contains hardly anything else. */
export const JWT_LIMITS: JsonLimits = { maxDepth: 4_096, maxMembers: 4_096 };
const SEGMENT_RULE = `a JSON object in UTF-8 with at most ${JWT_LIMITS.maxMembers} members`;
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
 * Parses a JWT in compact serialization (RFC 7519 §7.2, steps 1 to 10): three segments of base64url; header and payload
 * are JSON objects in UTF-8 with at most 4,096 members; of duplicate members the last counts (RFC 7519 §4). JWS JSON, JWE and unsecured tokens are
 * rejected.
 *
 * @throws InvalidTokenError
 */
export function parseJwt(token: string, maxTokenBytes: number): ParsedJwt {
  const { header: headerSegment, payload, signingInput, signature } = splitJws(token, maxTokenBytes);
  const header = parseHeader(headerSegment);
  const { alg, kid, typ } = header;
  if (typeof alg !== 'string' || alg === '') rejectToken('malformed', 'alg', 'a non-empty string', alg);
  if (kid !== undefined && typeof kid !== 'string') rejectToken('malformed', 'kid', 'a string', kid);
  if (typ !== undefined && typeof typ !== 'string') rejectToken('malformed', 'typ', 'a string', typ);
  return { header: header as JwtHeader, claims: parseSegment(payload), signingInput, signature };
}

/** The first steps of `parseJwt`: three segments, the last in base64url and not empty. The others are not checked yet. */
export function splitJws(token: string, maxTokenBytes: number): CompactJws {
  // The length in UTF-16 units is never more than the length in bytes, so this limits the work before the token is scanned.
  if (token.length > maxTokenBytes) rejectToken('too_large', 'token', `at most ${maxTokenBytes} bytes`, token.length);
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  // RFC 7519 §3: three segments. Other tokens are probably opaque, or a JWE.
  if (first < 0 || second < 0 || token.includes('.', second + 1)) {
    rejectToken('not_a_jwt', 'segments', 3, token.split('.', 6).length);
  }
  const signature = token.slice(second + 1);
  if (signature === '' || !isBase64url(signature)) rejectToken('malformed', 'signature', BASE64URL_RULE, undefined);
  return {
    header: token.slice(0, first),
    payload: token.slice(first + 1, second),
    signingInput: token.slice(0, second),
    signature,
  };
}

let lastHeader: { readonly segment: string; readonly header: Record<string, unknown> } | undefined;

// Nearly all tokens of an issuer have the same header, so the last one is cached: it is parsed once, and shared by all
// cached results.
function parseHeader(segment: string): Record<string, unknown> {
  if (lastHeader?.segment !== segment) lastHeader = { segment, header: deepFreeze(parseSegment(segment)) };
  return lastHeader.header;
}

/** One segment of a JWT: base64url of a JSON object. */
export function parseSegment(segment: string): Record<string, unknown> {
  if (!isBase64url(segment)) rejectToken('malformed', 'segment', BASE64URL_RULE, undefined);
  let json: string;
  try {
    json = utf8.decode(Buffer.from(segment, 'base64url'));
  } catch {
    return rejectToken('malformed', 'segment', SEGMENT_RULE, undefined);
  }
  return parseJsonObject(json, JWT_LIMITS) ?? rejectToken('malformed', 'segment', SEGMENT_RULE, undefined);
}

/**
 * Whether a segment is base64url without padding, in its only canonical spelling: the bits of the last character that no
 * byte uses are zero (RFC 4648 §3.5). Otherwise one token has several spellings.
 */
export function isBase64url(segment: string): boolean {
  const ends = LAST_CHARACTERS[segment.length % 4];
  return ends !== undefined && BASE64URL.test(segment) && (ends === '' || ends.includes(segment.at(-1) ?? ' '));
}
