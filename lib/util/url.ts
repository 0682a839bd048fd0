/** Whether a URL may be called: `https:`, `http:` on loopback, or any `http:` with `allowInsecureHttp`. No user name or password. */
export function isSecureUrl(value: string, allowInsecureHttp: boolean): boolean {
  const url = parseUrl(value);
  if (url?.username !== '' || url.password !== '') return false;
  if (url.protocol === 'https:') return true;
  return url.protocol === 'http:' && (allowInsecureHttp || isLoopback(url.hostname));
}

/**
 * Whether the metadata of an issuer may contain this URL. Metadata that came over `https:` cannot name an `http:` URL, not
 * even on loopback: the services there belong to this machine, not to the issuer.
 */
export function isAllowedTarget(sourceUrl: string, target: string, allowInsecureHttp: boolean): boolean {
  if (!isSecureUrl(target, allowInsecureHttp)) return false;
  return allowInsecureHttp || parseUrl(target)?.protocol === 'https:' || parseUrl(sourceUrl)?.protocol === 'http:';
}

/** A URL for a message: without query and credentials, which may be secret, and not longer than 200 characters. */
export function withoutQuery(value: string): string {
  const url = parseUrl(value);
  return url === undefined ? 'an invalid URL' : `${url.origin}${url.pathname}`.slice(0, 200);
}

export function parseUrl(value: string): URL | undefined {
  return URL.canParse(value) ? new URL(value) : undefined;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}
