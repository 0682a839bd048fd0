import { IncomingMessage } from 'node:http';
import type { Request } from 'express';
import { callable, flag, oneOf, type Rule, type Rules, text } from '../options.js';
import { type DpopOptions, dpopRule } from '../proof/dpop-options.js';
import type { ProofMode } from '../proof/mode.js';
import { urlDoubt } from '../util/doubt.js';
import { urlMistake } from '../util/setting.js';
import { canParseUrl } from '../util/url.js';
import { type MtlsOptions, mtlsRule } from '../proof/mtls-options.js';
import type { RejectionListener } from './report.js';
import type { Profile } from '../token/profile.js';
import { resourceMetadataRule } from './resource-url.js';
import type { RespondSettings } from './respond.js';
import {
  requestedNames,
  ScopeHierarchy,
  scopeHierarchyRule,
  type ScopeNames,
  scopeNamesRule,
  type ScopeTable,
} from './scope-hierarchy.js';
import { requestedScopesRule } from './scopes.js';

/** Options of every bearer middleware, whatever its verifier. */
export interface BearerOptions {
  /** Accept requests without credentials; `req.auth` is undefined then. An invalid token is still rejected. @default false */
  optional?: boolean | undefined;
  /** The realm in challenges (RFC 9110 §11.5). Printable ASCII. @default none */
  realm?: string | undefined;
  /** The property of the request that contains the `Auth`. @default 'auth' */
  property?: string | undefined;
  /**
   * Who responds to a rejected request. `'respond'`: the middleware, with a JSON body. `'problem'`: the middleware, with
   * `application/problem+json` (RFC 9457). `'next'`: the application's error handler, with the challenge already set on
   * the response and on `err.headers`. @default 'respond'
   */
  errors?: 'respond' | 'problem' | 'next' | undefined;
  /**
   * Called once for each request that this middleware or a gate behind it rejects, with the error and the request, after
   * the response is decided. It cannot change the response; if it fails, a process warning appears. @default none
   */
  onRejection?: RejectionListener | undefined;
  /**
   * Another place where the token may be, such as a cookie. Returns the bare token, or nothing (also `''`) if there is
   * none. A request with a token here and in its `Authorization` header is rejected (RFC 6750 §2). Tokens in URLs end up
   * in logs, so this package never reads them by itself. @default only the `Authorization` header
   */
  tokenFrom?: ((req: Request) => string | null | undefined) | undefined;
  /**
   * Where the metadata of this resource is: a URL, or the middleware of `protectedResourceMetadata`. Each challenge names
   * it (RFC 9728 §5.1), so that clients find the authorization server. @default none
   */
  resourceMetadata?: string | URL | { readonly url: string } | undefined;
  /**
   * The scopes that clients should request at first: `scope` of each challenge (RFC 6750 §3), unless a gate names its own.
   * @default none
   */
  challengeScopes?: readonly string[] | undefined;
  /**
   * For each scope, the scopes that it includes, transitively: `{ 'files:write': ['files:read'] }`. `requireScopes` and
   * `requireAnyScope` apply it; `auth.scopes` contains what was granted. @default each scope includes only itself
   */
  scopeHierarchy?: ScopeTable | undefined;
  /**
   * For each scope in tokens, the name that clients request, if the server has two (Entra ID). For challenges and
   * metadata; gates and the other options use the names in tokens. @default the same names
   */
  scopeNames?: ScopeNames | undefined;
  /**
   * Tokens that are bound to a key of the client, proven with every request by a signed `DPoP` header (RFC 9449).
   * @default 'off'; with `profile: 'fapi2'` 'allowed'
   */
  dpop?: ProofMode | DpopOptions | undefined;
  /**
   * Tokens that are bound to the client's TLS certificate (RFC 8705 §3). @default 'off'; with `profile: 'fapi2'` 'allowed'
   */
  mtls?: ProofMode | MtlsOptions<Request> | undefined;
  /**
   * The URL at which callers reach the root of this application; DPoP proofs contain it. Without it, the host of the
   * request is used, as Express's `trust proxy` determines it.
   */
  baseUrl?: string | undefined;
  /**
   * `'fapi2'`: accepts only sender-constrained tokens, only in the `Authorization` header, with proofs in the algorithms
   * of FAPI 2.0. `'rfc9068'` concerns only the token. @default the profile of the verifier
   */
  profile?: Profile | undefined;
}

/** Properties of a request that Node, Express and common middlewares use; writing them fails or breaks those. */
const RESERVED_PROPERTIES = new Set(
  [
    'aborted client complete headers httpVersion httpVersionMajor httpVersionMinor method rawHeaders rawTrailers socket',
    'statusCode statusMessage trailers upgrade url',
    'accepts acceptsCharset acceptsCharsets acceptsEncoding acceptsEncodings acceptsLanguage acceptsLanguages app baseUrl',
    'body cookies fresh get header host hostname ip ips is next originalUrl param params path protocol query range res',
    'route secret secure session sessionID sessionStore signedCookies stale subdomains xhr',
  ].flatMap((names) => names.split(' ')),
);

const baseUrlRule: Rule<string> = {
  expected: 'an http: or https: URL without user, query and fragment',
  fix: 'Pass the URL before the paths of this application, such as "https://api.example.com".',
  hint: urlMistake,
  doubt: urlDoubt,
  parse: (value) => {
    if (typeof value !== 'string' || !canParseUrl(value) || urlMistake(value) !== undefined) return undefined;
    const { protocol, username, password, search, hash, origin, pathname } = new URL(value);
    const isPlain = username === '' && password === '' && search === '' && hash === '' && !/[?#]/.test(value);
    if (!isPlain || (protocol !== 'https:' && protocol !== 'http:')) return undefined;
    return `${origin}${pathname.replace(/\/+$/, '')}`;
  },
};

export const bearerRules: Rules<BearerOptions> = {
  optional: flag('Set it to true to accept requests without credentials.'),
  realm: text('printable ASCII', 'Use letters, digits and spaces.', (value) => /^[\x20-\x7e]*$/.test(value)),
  property: text(
    'an identifier that requests do not have',
    'Leave it out for "auth".',
    (value) =>
      /^[A-Za-z_$][\w$]*$/.test(value) && !RESERVED_PROPERTIES.has(value) && !(value in IncomingMessage.prototype),
  ),
  errors: oneOf(['respond', 'problem', 'next'], 'Leave it out for "respond".'),
  onRejection: callable('a function of (error, req)', 'Leave it out to receive no reports.'),
  tokenFrom: callable('a function of the request that returns the token', 'Leave it out for the Authorization header.'),
  dpop: dpopRule,
  resourceMetadata: resourceMetadataRule,
  challengeScopes: requestedScopesRule,
  scopeHierarchy: scopeHierarchyRule,
  scopeNames: scopeNamesRule,
  // Every request that Express passes to a middleware is an Express request.
  mtls: mtlsRule as Rule<ProofMode | MtlsOptions<Request>>,
  baseUrl: baseUrlRule,
  profile: oneOf(['rfc9068', 'fapi2'], 'Leave it out to accept bearer tokens too.'),
};

/** What the options say about challenges and scopes. */
export function readChallengeOptions({
  realm,
  resourceMetadata,
  challengeScopes,
  scopeHierarchy,
  scopeNames,
}: BearerOptions): Pick<
  RespondSettings,
  'realm' | 'resourceMetadata' | 'challengeScopes' | 'requestedScopes' | 'scopeHierarchy'
> {
  const requestedScopes = (scopes: readonly string[]): string[] => requestedNames(scopes, scopeNames);
  return {
    realm,
    // The rule has made a string of it.
    resourceMetadata: resourceMetadata as string | undefined,
    challengeScopes: challengeScopes === undefined ? undefined : requestedScopes(challengeScopes),
    requestedScopes: scopeNames === undefined ? undefined : requestedScopes,
    scopeHierarchy: scopeHierarchy === undefined ? undefined : ScopeHierarchy.of(scopeHierarchy),
  };
}
