/** Whether a URL may be asked: `https:`, or `http:` on loopback, or any `http:` where that was allowed in words. */
export function isSecureUrl(value: string, allowInsecureHttp: boolean): boolean {
  const url = parseUrl(value);
  if (url?.username !== '' || url.password !== '') return false;
  if (url.protocol === 'https:') return true;
  return url.protocol === 'http:' && (allowInsecureHttp || isLoopback(url.hostname));
}

/**
 * Whether an issuer's own documents may send us to a URL. An issuer that is reached over `https:` cannot send us to
 * `http:`, loopback included: what listens there is not its to name.
 */
export function isAllowedTarget(issuerUrl: string, target: string, allowInsecureHttp: boolean): boolean {
  if (!isSecureUrl(target, allowInsecureHttp)) return false;
  return allowInsecureHttp || parseUrl(target)?.protocol === 'https:' || parseUrl(issuerUrl)?.protocol === 'http:';
}

export function parseUrl(value: string): URL | undefined {
  return URL.canParse(value) ? new URL(value) : undefined;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}
