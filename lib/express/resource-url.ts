import type { Rule } from '../options.js';
import { urlDoubt } from '../util/doubt.js';
import { urlMistake } from '../util/setting.js';
import { isSecureUrl } from '../util/url.js';

/** What RFC 9728 §3 inserts between the host and the path of a resource. */
export const WELL_KNOWN = '/.well-known/oauth-protected-resource';

/**
 * A resource identifier (RFC 9728 §1.2, RFC 8707 §2): a string exactly as configured, or a `URL`. A `URL` always has a
 * path, so a bare origin loses that slash again.
 */
export const resourceRule: Rule<string> = {
  expected: 'an https: URL without user and fragment (http: on loopback)',
  fix: 'Pass the URL at which clients reach this API, such as "https://api.example.com/mcp".',
  hint: (value) => {
    if (typeof value !== 'string' && !(value instanceof URL)) return undefined;
    const text = String(value);
    const mistake = urlMistake(text);
    if (mistake !== undefined) return mistake;
    if (text.includes('#')) return 'Remove the fragment: RFC 9728 allows none.';
    return text.startsWith('http:')
      ? 'Use https:. Outside loopback, anybody on the network can replace it.'
      : undefined;
  },
  doubt: urlDoubt,
  parse: (value) => {
    if (value instanceof URL) return isResource(value.href) ? withoutBareSlash(value) : undefined;
    return typeof value === 'string' && isResource(value) ? value : undefined;
  },
};

/** Where the metadata of a resource is, as a URL or as the middleware that serves it. */
export const resourceMetadataRule: Rule<string> = {
  expected:
    'an https: URL without user and fragment (http: on loopback), or the middleware of protectedResourceMetadata',
  fix: 'Pass what protectedResourceMetadata returns, or the URL of the metadata of this API.',
  parse: (value) => {
    const url: unknown = typeof value === 'function' && 'url' in value ? value.url : value;
    const text = url instanceof URL ? url.href : url;
    return typeof text === 'string' && isResource(text) ? new URL(text).href : undefined;
  },
};

function isResource(value: string): boolean {
  return isSecureUrl(value, false) && urlMistake(value) === undefined && !/[\s#]/.test(value);
}

function withoutBareSlash({ href, origin, pathname, search }: URL): string {
  return pathname === '/' && search === '' ? origin : href;
}

/**
 * The address of the metadata of a resource (RFC 9728 §3.1): the well-known part between host and path; the slash of a
 * bare origin is removed.
 */
export function wellKnownUrl(resource: string): URL {
  const { origin, pathname, search } = new URL(resource);
  return new URL(`${origin}${WELL_KNOWN}${pathname === '/' ? '' : pathname}${search}`);
}
