import type { Fetch } from '../issuer/http.js';
import { callable, flag, type Rules, texts } from '../options.js';
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
  clock: callable('a function that gives seconds since the epoch', 'Leave it out for the system clock.'),
};

export const systemClock = (): number => Date.now() / 1000;

/** The global `fetch`, looked up at each call so that instrumentation that replaces it is heeded. */
export const globalFetch: Fetch = (url, init) => fetch(url, init);
