import { ConfigurationError } from '../errors.js';
import type { Fetch } from '../issuer/http.js';
import { isSecureUrl, parseUrl } from '../util/url.js';
import { callable, clockRule, flag, invalidOption, type Rule, type Rules, text, texts } from '../options.js';
import { CLIENT_ID_CLAIMS, SCOPE_CLAIMS } from '../token/claims.js';

/** What verifiers of all kinds take. */
export interface SharedVerifierOptions {
  /** Where the calling client's id is looked for, first match wins. @default ['client_id', 'azp', 'cid', 'appid'] */
  clientIdClaims?: readonly string[];
  /** Where scopes are looked for, all of them together. @default ['scope', 'scp'] */
  scopeClaims?: readonly string[];
  /** Replaces the global `fetch`, for proxies and custom certificate authorities. */
  fetch?: Fetch;
  /** Accept `http:` addresses of the issuer outside loopback. Keys that come that way can be anybody's. @default false */
  allowInsecureHttp?: boolean;
  /** What time it is: seconds since the epoch, fractions allowed. @default the system clock */
  clock?: () => number;
}

export const sharedRules: Rules<SharedVerifierOptions> = {
  clientIdClaims: texts('an array of claim names', `Leave it out for ${CLIENT_ID_CLAIMS.join(', ')}.`),
  scopeClaims: texts('an array of claim names', `Leave it out for ${SCOPE_CLAIMS.join(' and ')}.`),
  fetch: callable('a function like the global fetch', 'Leave it out for the global fetch.'),
  allowInsecureHttp: flag('Set it to true only where the network between here and the issuer is trusted.'),
  clock: clockRule,
};

export { systemClock } from '../util/clock.js';

/** The global `fetch`, looked up at each call so that instrumentation that replaces it is heeded. */
export const globalFetch: Fetch = (url, init) => fetch(url, init);

export const issuerRule = text(
  'the issuer as its tokens spell it in "iss"',
  'Pass a string such as "https://auth.example.com".',
);

export const audienceRule: Rule<string | readonly string[] | false> = {
  expected: 'a non-empty string, an array of them, or false',
  fix: 'Pass the identifier of this API as its issuer knows it, or audience: false to accept tokens meant for any API.',
  parse: (value) => {
    if (value === false) return false;
    if (typeof value === 'string') return value === '' ? undefined : [value];
    return texts('', '').parse(value, '');
  },
};

/** FAPI 2.0 Security Profile §5.2: TLS between all parties. */
export function checkFapiTransport(where: string, { allowInsecureHttp }: SharedVerifierOptions): void {
  if (allowInsecureHttp !== true) return;
  throw new ConfigurationError({
    option: `${where}: allowInsecureHttp`,
    expected: 'nothing, because the profile is fapi2',
    got: 'true',
    fix: 'Use https:, or do without the profile.',
  });
}

export const SECURE_FIX = 'Use https:, or set allowInsecureHttp: true where the network in between is trusted.';

/** An issuer whose documents nobody fetches may be any string, but one that is an `http:` URL is held to the same rule. */
export function checkIssuerUrl(
  where: string,
  issuer: string,
  isFetchedFrom: boolean,
  allowInsecureHttp: boolean,
): void {
  if ((isFetchedFrom || issuer.startsWith('http:')) && !isIssuerUrl(issuer, allowInsecureHttp)) {
    const expected = 'an https: URL without user, query and fragment (http: on loopback)';
    throw invalidOption(`${where}: issuer`, { expected, fix: SECURE_FIX }, issuer);
  }
}

// RFC 8414 §2: a URL that uses the https scheme and has no query or fragment components.
function isIssuerUrl(issuer: string, allowInsecureHttp: boolean): boolean {
  const url = parseUrl(issuer);
  return isSecureUrl(issuer, allowInsecureHttp) && url?.search === '' && url.hash === '';
}
