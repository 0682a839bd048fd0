import { render } from '../util/escape.js';
import { fetchJson, type HttpOptions } from './http.js';
import { HttpError } from './http-error.js';
import { differenceBetween } from '../token/fixes.js';
import { parseUrl, problemOfTarget, type TargetRules, withoutQuery } from '../util/url.js';

/** The members of an authorization server's metadata (RFC 8414 §2) that a resource server needs. */
export interface IssuerMetadata {
  readonly issuer: string;
  readonly jwks_uri?: string | undefined;
  /** RFC 7662. */
  readonly introspection_endpoint?: string | undefined;
  /** Why members are left out. */
  readonly problems?: Readonly<Partial<Record<AddressName, AddressProblem>>> | undefined;
}

export interface FetchedMetadata {
  readonly metadata: IssuerMetadata;
  /** How long the server says that it is fresh. Seconds. */
  readonly maxAge: number | undefined;
  readonly url: string;
}

/** Members that contain an address. */
const ADDRESSES = ['jwks_uri', 'introspection_endpoint'] as const;
export type AddressName = (typeof ADDRESSES)[number];

/** Why an address is not called. */
type AddressProblem = 'http' | 'private' | 'invalid';

const PROBLEMS: Readonly<Record<AddressProblem, string>> = {
  http: 'an http: address needs allowInsecureHttp: true',
  private: 'a private address needs allowPrivateAddresses: true',
  invalid: 'it is not an https: URL',
};

/** Longer addresses count as missing: parsing a host of many characters takes long. */
const MAX_ADDRESS_LENGTH = 2_048;

/** Where to look for metadata, and what for. */
export interface MetadataLocation {
  /** The URL of the document at the last fetch. */
  readonly lastUrl?: string | undefined;
  /** A document without this member causes a look at the next address. */
  readonly needed?: AddressName | undefined;
}

/**
 * The possible addresses of an issuer's metadata: OpenID Connect Discovery 1.0 §4 first, because nearly every server has
 * it, then RFC 8414 §3.1, which puts the well-known part between host and path.
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
 * Fetches the metadata of an issuer. The document must name exactly this issuer (RFC 8414 §3.3); addresses that
 * `problemOfTarget` rejects are left out. If one address has no such document, or one without the needed member, the next is
 * tried, but not if the server is unreachable or requests a pause. The address of the last time is tried first.
 */
export async function fetchMetadata(
  rules: TargetRules,
  http: HttpOptions,
  closing: AbortSignal,
  { lastUrl, needed }: MetadataLocation = {},
): Promise<FetchedMetadata> {
  const { issuer, metadataUrl } = rules;
  const failures: Error[] = [];
  const urls = metadataUrl === undefined ? metadataUrls(issuer) : [metadataUrl];
  urls.sort((a, b) => Number(b === lastUrl) - Number(a === lastUrl));
  let incomplete: FetchedMetadata | undefined;
  let serverError: HttpError | undefined;
  for (const url of urls) {
    try {
      const { json, maxAge } = await fetchJson(url, http, closing);
      const found = checkMetadata(json, url, rules);
      const metadata = { ...found, ...incomplete?.metadata };
      if (needed === undefined || metadata[needed] !== undefined) return { metadata, maxAge, url };
      incomplete ??= { metadata, maxAge, url };
    } catch (error) {
      if (!(error instanceof HttpError) || !shouldTryNext(error)) throw serverError ?? error;
      if (error.status !== undefined && error.status >= 500) serverError ??= error;
      failures.push(error);
    }
  }
  // The code that needs the missing member reports it.
  if (incomplete !== undefined) return incomplete;
  // An address that does not exist says less than one that fails.
  if (serverError !== undefined) throw serverError;
  throw new AggregateError(failures, `there is no metadata of ${issuer} at a well-known address`);
}

function shouldTryNext(error: HttpError): boolean {
  if (error.failure === 'unreachable' || error.failure === 'timeout') return false;
  return error.status !== 429 && error.retryAfter === undefined;
}

function checkMetadata(json: Record<string, unknown>, url: string, rules: TargetRules): IssuerMetadata {
  const { issuer } = rules;
  if (json.issuer !== issuer) {
    const { issuer: other } = json;
    const found = typeof other === 'string' ? `the issuer ${render(other)}` : 'no issuer';
    const difference = typeof other === 'string' ? differenceBetween(issuer, other) : undefined;
    const hint = difference === undefined ? '' : `: they differ only by ${difference}`;
    const text = `${withoutQuery(url)} is metadata of ${found}, not of ${render(issuer)}${hint}`;
    throw new HttpError('invalid', text, { mistake: 'issuer_mismatch' });
  }
  const addresses: Partial<Record<AddressName, string>> = {};
  const problems: Partial<Record<AddressName, AddressProblem>> = {};
  for (const name of ADDRESSES) {
    const address = json[name] ?? undefined;
    if (address === undefined) continue;
    // An address that may not be called counts as missing. The code that needs it reports that.
    const problem = problemOf(address, rules);
    if (problem === undefined) addresses[name] = address as string;
    else problems[name] = problem;
  }
  return { issuer, ...addresses, problems };
}

function problemOf(address: unknown, rules: TargetRules): AddressProblem | undefined {
  if (typeof address !== 'string' || address.length > MAX_ADDRESS_LENGTH) return 'invalid';
  const problem = problemOfTarget(address, rules);
  if (problem !== 'insecure') return problem;
  return parseUrl(address)?.protocol === 'http:' ? 'http' : 'invalid';
}

/** An address in metadata. @throws HttpError if there is none that may be called. */
export function addressIn(metadata: IssuerMetadata, name: AddressName): string {
  const address = metadata[name];
  if (address !== undefined) return address;
  const what = `the metadata of ${metadata.issuer} has no ${name}`;
  const problem = metadata.problems?.[name];
  const text = problem === undefined ? what : `${what} that may be called: ${PROBLEMS[problem]}`;
  throw new HttpError('invalid', text, { mistake: `${name}_missing` });
}
