import { URL as NodeUrl } from 'node:url';
import { isPrivateHost } from './private-address.js';

/** Whether a URL may be called: `https:`, `http:` on loopback, or any `http:` with `allowInsecureHttp`. No user name or password. */
export function isSecureUrl(value: string, allowInsecureHttp: boolean): boolean {
  const url = parseUrl(value);
  if (url?.username !== '' || url.password !== '') return false;
  if (url.protocol === 'https:') return true;
  return url.protocol === 'http:' && (allowInsecureHttp || isLoopback(url.hostname));
}

/** Which addresses the metadata of an issuer may contain. */
export interface TargetRules {
  readonly issuer: string;
  /** The address of the metadata, if it is configured. */
  readonly metadataUrl?: string | undefined;
  readonly allowInsecureHttp: boolean;
  /** Also private addresses, if the issuer is public. */
  readonly allowPrivateAddresses: boolean;
}

/**
 * Why the metadata of an issuer may not contain this URL; `undefined` if it may. Metadata that came over `https:` cannot name
 * an `http:` URL, and metadata of a public issuer cannot name a private address: the services there belong to this machine
 * or its network, not to the issuer. The origin of a configured `metadataUrl` is not foreign.
 */
export function problemOfTarget(target: string, rules: TargetRules): 'insecure' | 'private' | undefined {
  const { issuer, metadataUrl, allowInsecureHttp, allowPrivateAddresses } = rules;
  const url = parseUrl(target);
  const issuerUrl = parseUrl(issuer);
  const sourceUrl = parseUrl(metadataUrl ?? issuer);
  if (url === undefined || !isSecureUrl(target, allowInsecureHttp)) return 'insecure';
  if (!allowInsecureHttp && url.protocol !== 'https:' && sourceUrl?.protocol !== 'http:') return 'insecure';
  if (allowPrivateAddresses || !isPrivateHost(url.hostname)) return undefined;
  const isExpected = isPrivateHost(issuerUrl?.hostname ?? '') || url.origin === sourceUrl?.origin;
  return isExpected ? undefined : 'private';
}

/** A URL for a message: without query and credentials, which may be secret, and not longer than 200 characters. */
export function withoutQuery(value: string): string {
  const url = parseUrl(value);
  return url === undefined ? 'an invalid URL' : `${url.origin}${url.pathname}`.slice(0, 200);
}

export function parseUrl(value: string, base?: string): URL | undefined {
  return canParseUrl(value, base) ? new URL(value, base) : undefined;
}

/** `URL.canParse`, which the `URL` of an older jsdom does not have. */
export function canParseUrl(value: string, base?: string): boolean {
  return NodeUrl.canParse(value, base);
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}
