import { type Fetch, globalFetch } from '../issuer/http.js';
import { canParseUrl, isSecureUrl, parseUrl } from '../util/url.js';
import {
  callable,
  clockRule,
  count,
  firstMistake,
  flag,
  invalidOption,
  reportDoubt,
  type Rule,
  type Rules,
  seconds,
  text,
  texts,
} from '../options.js';
import { claimNameDoubt, issuerDoubt, listDoubt, placeholderDoubt, urlDoubt } from '../util/doubt.js';
import { issuerMistake, settingMistake, urlMistake } from '../util/setting.js';
import type { Audience } from '../token/audience.js';
import type { CallerRule, ClaimMapping } from '../token/access-token.js';
import { CLIENT_ID_CLAIMS, SCOPE_CLAIMS } from '../token/claims.js';

/** Options of all verifiers. */
export interface SharedVerifierOptions {
  /**
   * The claims that may contain the client id; the first present one is used. @default `client_id` and `azp`, which must
   * not differ; without both, `cid`, then `appid`
   */
  clientIdClaims?: readonly string[] | undefined;
  /** The claims that may contain scopes; the result is their union. @default ['scope', 'scp'] */
  scopeClaims?: readonly string[] | undefined;
  /** The claims that may contain the subject; the first present one is used. @default ['sub'] */
  subjectClaims?: readonly string[] | undefined;
  /**
   * Decides from the claims whether a client obtained the token for itself, for servers that do not mark it. A token with
   * an actor other than its own client is never a machine's. @default the evidence in the token
   */
  isMachine?: CallerRule | undefined;
  /** Decides from the claims whether the token was issued on behalf of a person. @default the evidence in the token */
  isUser?: CallerRule | undefined;
  /**
   * Also accept ID tokens, for Dex, Google Cloud Run and others that use them in place of access tokens. An ID token tells
   * who signed in, not what the client may do. @default false
   */
  allowIdTokens?: boolean | undefined;
  /** Claims that a token must have, whatever their value. @default none */
  requiredClaims?: readonly string[] | undefined;
  /**
   * Accepted difference of clocks for `exp`, `nbf` and `maxTokenAge`. `iat` may be 60 seconds in the future, or this long
   * if it is more. Seconds, 0 to 300. @default 10
   */
  clockTolerance?: number | undefined;
  /** Longer tokens are rejected before anything is parsed. Bytes, 256 to 1,048,576. @default 16384 */
  maxTokenBytes?: number | undefined;
  /**
   * The address of the issuer's metadata, if it is not below the issuer (Azure AD B2C, or a service in a cluster that
   * reaches the authorization server under another name). The `issuer` in it must still be exact. @default discovery
   */
  metadataUrl?: string | undefined;
  /** Replaces the global `fetch`, for proxies and custom certificate authorities. */
  fetch?: Fetch | undefined;
  /** Accept `http:` addresses of the issuer outside loopback. Anybody on the network can replace such keys. @default false */
  allowInsecureHttp?: boolean | undefined;
  /**
   * Also call private, loopback and link-local addresses (`10.0.0.1`, `[fd00::1]`, `localhost`) that the metadata of a
   * public issuer names: some Kubernetes clusters publish their keys there. Not needed if the issuer itself is such an address, nor for
   * addresses in the options. Names are not resolved. @default false
   */
  allowPrivateAddresses?: boolean | undefined;
  /**
   * The current time in seconds since the epoch, fractions allowed. It also measures ages and pauses. @default the system
   * clock; for ages and pauses a monotonic clock, so that they do not change when somebody sets the system clock
   */
  clock?: (() => number) | undefined;
}

/** The options about claims, as the code that reads claims expects them. */
export function readClaimMapping(options: SharedVerifierOptions): ClaimMapping & {
  clientIdClaims: readonly string[] | undefined;
} {
  const { clientIdClaims, scopeClaims, subjectClaims, isMachine, isUser } = options;
  return { clientIdClaims, scopeClaims, subjectClaims, isMachine, isUser };
}

export const DEFAULT_CLOCK_TOLERANCE = 10;
export const DEFAULT_MAX_TOKEN_BYTES = 16_384;

/** An absolute URL; whether it is secure is checked with the other options. */
export function urlRule(fix: string): Rule<string> {
  const accepts = (value: string): boolean => canParseUrl(value) && urlMistake(value) === undefined;
  return { ...text('an absolute URL', fix, accepts), hint: urlMistake, doubt: urlDoubt };
}

function claimNames(fix: string): Rule<string[]> {
  return { ...texts('an array of claim names', fix), doubt: (value) => firstMistake(value, claimNameDoubt) };
}

export const sharedRules: Rules<SharedVerifierOptions> = {
  clientIdClaims: claimNames(`Leave it out for ${CLIENT_ID_CLAIMS.join(', ')}.`),
  scopeClaims: claimNames(`Leave it out for ${SCOPE_CLAIMS.join(' and ')}.`),
  subjectClaims: claimNames('Leave it out for sub.'),
  isMachine: callable(
    'a function of the claims that returns true or false',
    'Leave it out for the evidence in the token.',
  ),
  isUser: callable(
    'a function of the claims that returns true or false',
    'Leave it out for the evidence in the token.',
  ),
  allowIdTokens: flag('Leave it out to accept only access tokens.'),
  requiredClaims: claimNames('Leave it out to require none.'),
  clockTolerance: seconds(0, 300, `Leave it out for ${DEFAULT_CLOCK_TOLERANCE}.`),
  maxTokenBytes: count('bytes', 256, 1_048_576, `Leave it out for ${DEFAULT_MAX_TOKEN_BYTES}.`),
  metadataUrl: urlRule('Leave it out to find the metadata below the issuer.'),
  fetch: callable('a function like the global fetch', 'Leave it out for the global fetch.'),
  allowInsecureHttp: flag('Set it to true only if the network between this API and the issuer is trusted.'),
  allowPrivateAddresses: flag(
    'Set it to true only if the issuer publishes its keys at a private address, as Kubernetes does.',
  ),
  clock: clockRule,
};

export { globalFetch };

export const issuerRule: Rule<string> = {
  ...text(
    'the issuer exactly as in the claim "iss" of its tokens',
    'Pass a string such as "https://auth.example.com".',
    (value) => issuerMistake(value) === undefined,
  ),
  hint: issuerMistake,
};

const audienceTexts = texts('', '', (each) => audienceMistake(each) === undefined);

function audienceMistake(audience: unknown): string | undefined {
  if (audience === 'false') return 'Pass false without quotes to accept tokens for any API.';
  const isList = typeof audience === 'string' && /^https?:.*,\s*https?:/.test(audience);
  return isList ? 'Pass an array with one audience per item.' : settingMistake(audience);
}

// An audience may contain any character.
function audienceDoubt(audience: unknown): string | undefined {
  if (typeof audience === 'string' && audience.includes('*'))
    return 'Audiences are compared exactly: * matches only itself.';
  const isUrl = typeof audience === 'string' && /^https?:/.test(audience);
  return (
    listDoubt(audience, 'Pass an array with one audience per item.') ??
    placeholderDoubt(audience) ??
    (isUrl ? urlMistake(audience) : undefined)
  );
}

export const audienceRule: Rule<Audience | readonly Audience[] | false> = {
  expected: 'a non-empty string, an http: or https: URL object without user and fragment, an array of them, or false',
  fix: 'Pass the identifier of this API at its issuer, or audience: false to accept tokens for any API.',
  hint: (value) => firstMistake(value, audienceMistake),
  doubt: (value) => firstMistake(value, audienceDoubt),
  parse: (value) => {
    if (value === false) return false;
    const items: unknown[] = Array.isArray(value) ? value : [value];
    const urls = items.filter((item): item is URL => item instanceof URL && isAudienceUrl(item));
    const others = items.filter((item) => !(item instanceof URL));
    const strings = others.length === 0 ? [] : audienceTexts.parse(others, '');
    if (strings === undefined || items.length === 0 || urls.length + others.length !== items.length) return undefined;
    return [...strings, ...urls.map(({ href }) => new URL(href))];
  },
};

// RFC 8707 §2: no fragment.
function isAudienceUrl({ protocol, username, password, href }: URL): boolean {
  const isHttp = protocol === 'https:' || protocol === 'http:';
  return isHttp && username === '' && password === '' && !href.includes('#');
}

export const SECURE_FIX = 'Use https:, or set allowInsecureHttp: true if the network in between is trusted.';

/** An issuer whose documents are never fetched may be any string. */
export function checkIssuerUrl(
  where: string,
  issuer: string,
  isFetchedFrom: boolean,
  allowInsecureHttp: boolean,
): void {
  const option = `${where}: issuer`;
  if (isFetchedFrom && !isIssuerUrl(issuer, allowInsecureHttp)) {
    const expected = 'an https: URL without user, query and fragment (http: on loopback)';
    throw invalidOption(option, { expected, fix: issuerUrlFix(issuer) }, issuer);
  }
  // Not by the rule: an issuer that is rejected causes no warning.
  reportDoubt(option, { doubt: issuerDoubt }, issuer);
}

function issuerUrlFix(issuer: string): string {
  if (/^(?:localhost|127\.0\.0\.1)(?:[:/]|$)/.test(issuer)) return `Did you mean http://${issuer}?`;
  if (/^[\w-]+(\.[\w-]+)+(:\d+)?(\/|$)/.test(issuer)) return `Did you mean https://${issuer}?`;
  if (!ABSOLUTE.test(issuer)) return 'Pass an absolute URL, such as "https://auth.example.com".';
  return /[?#@]/.test(issuer) ? 'Remove user, query and fragment.' : SECURE_FIX;
}

/** The parser of URLs accepts more: `https:auth.example.com`, capital letters, white space and quotes. */
const ABSOLUTE = /^https?:\/\/[^\s"'`]+$/;

/** The metadata decides where keys come from, so its address must be safe. */
export function checkMetadataUrl(where: string, url: string | undefined, allowInsecureHttp: boolean): void {
  if (url === undefined || isSecureUrl(url, allowInsecureHttp)) return;
  throw invalidOption(`${where}: metadataUrl`, { expected: 'an https: URL (http: on loopback)', fix: SECURE_FIX }, url);
}

// RFC 8414 §2: a URL that uses the https scheme and has no query or fragment components.
function isIssuerUrl(issuer: string, allowInsecureHttp: boolean): boolean {
  const url = parseUrl(issuer);
  return ABSOLUTE.test(issuer) && isSecureUrl(issuer, allowInsecureHttp) && url?.search === '' && url.hash === '';
}
