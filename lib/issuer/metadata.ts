import { HttpError, fetchJson, type HttpOptions } from './http.js';
import { isAllowedTarget, parseUrl } from '../util/url.js';

/** The members of an authorization server's metadata (RFC 8414 §2) that a resource server needs. */
export interface IssuerMetadata {
  readonly issuer: string;
  readonly jwks_uri?: string | undefined;
  /** RFC 7662, announced as RFC 8414 §2 says. */
  readonly introspection_endpoint?: string | undefined;
}

/** Members that name where the issuer sends us. */
const ADDRESSES = ['jwks_uri', 'introspection_endpoint'] as const;

/**
 * Where an issuer's metadata may be: OpenID Connect Discovery 1.0 §4 first, because nearly every server has it, then
 * RFC 8414 §3.1, which puts the well-known part between host and path.
 */
export function metadataUrls(issuer: string): string[] {
  const url = parseUrl(issuer);
  if (url === undefined) return [];
  const path = url.pathname.replace(/\/$/, '');
  return [
    `${url.origin}${path}/.well-known/openid-configuration`,
    `${url.origin}/.well-known/oauth-authorization-server${path}`,
  ];
}

/**
 * Fetches the metadata of an issuer. The document must name exactly this issuer (RFC 8414 §3.3) and may point only to
 * where `isAllowedTarget` allows. A form that is not there, or is no such document, leads to the next; a server that cannot be
 * reached or is failing is not asked a second time.
 */
export async function fetchMetadata(
  issuer: string,
  allowInsecureHttp: boolean,
  http: HttpOptions,
  closing: AbortSignal,
): Promise<{ metadata: IssuerMetadata; maxAge: number | undefined }> {
  const failures: Error[] = [];
  for (const url of metadataUrls(issuer)) {
    try {
      const { json, maxAge } = await fetchJson(url, http, closing);
      return { metadata: checkMetadata(json, url, issuer, allowInsecureHttp), maxAge };
    } catch (error) {
      if (!(error instanceof HttpError) || !shouldTryNext(error)) throw error;
      failures.push(error);
    }
  }
  throw new AggregateError(failures, `no metadata of ${issuer} at any well-known address`);
}

function shouldTryNext(error: HttpError): boolean {
  if (error.failure === 'unreachable' || error.failure === 'timeout') return false;
  return error.status === undefined || (error.status < 500 && error.status !== 429);
}

function checkMetadata(
  json: Record<string, unknown>,
  url: string,
  issuer: string,
  allowInsecureHttp: boolean,
): IssuerMetadata {
  if (json.issuer !== issuer) {
    throw new HttpError('invalid', `${url} is metadata of the issuer ${JSON.stringify(json.issuer)}, not of ${issuer}`);
  }
  const addresses: Partial<Record<(typeof ADDRESSES)[number], string>> = {};
  for (const name of ADDRESSES) {
    const address = json[name];
    // One that may not be asked is as good as none: who needs it will say so.
    if (typeof address === 'string' && isAllowedTarget(issuer, address, allowInsecureHttp)) addresses[name] = address;
  }
  return { issuer, ...addresses };
}
