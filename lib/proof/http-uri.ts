import { parseUrl } from '../util/url.js';

// The characters of RFC 3986 §2. URL parsers also accept and repair other texts, such as a URI without a host.
const HTTP_URI = /^https?:\/\/(?!\/)(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/i;
const UNRESERVED = /[A-Za-z0-9\-._~]/;

/** Whether both are the same http(s) URI, apart from query and fragment. */
export function isSameHttpUri(one: unknown, other: unknown): boolean {
  if (typeof one !== 'string' || typeof other !== 'string') return false;
  const normalized = normalizeHttpUri(one);
  return normalized !== undefined && (one === other || normalized === normalizeHttpUri(other));
}

/**
 * Normalizes an http(s) URI for comparison: without query and fragment, by syntax (RFC 3986 §6.2.2: case,
 * percent-encoding, dot segments) and by scheme (§6.2.3: default port, empty path). `undefined` if it is not such a URI, or
 * has a user.
 */
function normalizeHttpUri(uri: string): string | undefined {
  if (!HTTP_URI.test(uri)) return undefined;
  const url = parseUrl(uri);
  if (url?.username !== '' || url.password !== '') return undefined;
  return `${url.protocol}//${url.host}${url.pathname.replace(/%[0-9a-f]{2}/gi, normalizeTriplet)}`;
}

function normalizeTriplet(triplet: string): string {
  const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
  return UNRESERVED.test(character) ? character : triplet.toUpperCase();
}
