import { canParseUrl } from '../util/url.js';

/**
 * A name of this API, as tokens contain it in `aud`. A string is compared exactly. A `URL` is compared as a URI (RFC 3986
 * §6.2): the case of scheme and host, the default port, and the slash of a bare origin do not matter; a slash at the end
 * of a path does.
 *
 * RFC 9728 §3.3 asks clients for a plain comparison of resource identifiers. But clients send what their URL parser makes
 * of the identifier (`https://api.example.com` becomes `https://api.example.com/`), authorization servers copy it into
 * `aud`, and both values name the same API.
 */
export type Audience = string | URL;

/** Whether a value of `aud` is one of the accepted names. */
export function isAccepted(audience: string, accepted: readonly Audience[]): boolean {
  return accepted.some((each) => (typeof each === 'string' ? each === audience : isSameUri(each, audience)));
}

// The URL parser repairs what it reads: it removes white space, and reads a backslash as a slash.
function isSameUri({ href }: URL, audience: string): boolean {
  return (
    /^https?:\/\/[\x21-\x5b\x5d-\x7e]+$/i.test(audience) && canParseUrl(audience) && new URL(audience).href === href
  );
}
