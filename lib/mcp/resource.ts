import { createBearer } from '../express/bearer.js';
import { createJwtBearer, type JwtBearerOptions } from '../express/verifier-bearers.js';
import { describeBearer, descriptionOf } from '../express/bearer-description.js';
import { bearerRules } from '../express/bearer-options.js';
import { createMetadata, type ProtectedResourceMetadata } from '../express/metadata.js';
import { METADATA_OPTIONS, type ProtectedResourceMetadataOptions } from '../express/metadata-options.js';
import type { Middleware } from '../express/middleware.js';
import { resourceRule, wellKnownUrl } from '../express/resource-url.js';
import { requestedScopesRule } from '../express/scopes.js';
import {
  assertNotRequest,
  invalidOption,
  pickOptions,
  readOptions,
  rejectUnknown,
  type Rule,
  type Rules,
} from '../options.js';
import { rejectMoreOptions } from '../unknown-options.js';
import { isVerifier } from '../verify/wrap-verifier.js';
import { jwtVerifierRules } from '../verify/jwt-options.js';
import type { TokenVerifier } from '../verify/token-verifier.js';
import { createAuthInfo } from './auth-info-middleware.js';

/** Options of `mcpResource`: those of `jwtBearer` and `protectedResourceMetadata`, and these. */
export interface McpResourceOptions
  extends
    Omit<JwtBearerOptions, 'issuer' | 'audience' | 'resourceMetadata' | 'baseUrl'>,
    Omit<ProtectedResourceMetadataOptions, 'bearer' | 'jwksUri'> {
  /** The URL at which clients reach the MCP server. */
  resource: string | URL;
  /** The issuer of the tokens, which must be JWTs. Required without `verifier`. */
  issuer?: string | undefined;
  /** Another verifier, such as that of `introspectionVerifier` or `trustedIssuers`. It has its own options. @default none */
  verifier?: TokenVerifier | undefined;
  /** The names of the MCP server in `aud`. @default the resource, compared as a URI */
  audience?: JwtBearerOptions['audience'] | undefined;
  /** The part of the URL before the paths of this application, in DPoP proofs. @default the origin of the resource */
  baseUrl?: string | undefined;
  /** The scopes that clients request at first: `scopesSupported` and `challengeScopes`. @default none */
  scopes?: readonly string[] | undefined;
}

/** What `mcpResource` returns. */
export interface McpResource {
  /** Serves the metadata: mount it at the root of the application. */
  readonly metadata: ProtectedResourceMetadata;
  /** Authenticates requests and sets `req.auth` to the `AuthInfo` of the SDK: mount it before the handler of the SDK. */
  readonly bearer: Middleware;
}

type OwnOptions = Pick<McpResourceOptions, 'resource' | 'verifier' | 'scopes'>;

const verifierRule: Rule<TokenVerifier> = {
  expected: 'an object with the function verify(token)',
  fix: 'Pass introspectionVerifier({ … }), or issuer instead of verifier.',
  parse: (value) => (isVerifier(value) ? value : undefined),
};

const ownRules: Rules<OwnOptions> = { resource: resourceRule, verifier: verifierRule, scopes: requestedScopesRule };

const OWN = Object.keys(ownRules);
/** The address of the metadata follows from the resource. */
const BEARER = Object.keys(bearerRules).filter((name) => name !== 'resourceMetadata');
const VERIFIER = Object.keys(jwtVerifierRules);
/** Both the verifier and the metadata have `jwksUri`; here it belongs to the verifier. */
const METADATA = METADATA_OPTIONS.filter((name) => name !== 'bearer' && name !== 'jwksUri');

/**
 * Protects an MCP server (specification 2026-07-28, authorization) that clients discover by themselves: the metadata of the
 * resource (RFC 9728), and a middleware that accepts only tokens for this resource, names the metadata and the scopes in
 * each challenge, and sets the `AuthInfo` of the SDK.
 *
 * @throws ConfigurationError for an option that is missing, unknown or wrong; also for a resource with a fragment or with
 * `http:` outside loopback, and for `offline_access` among the scopes.
 */
export function mcpResource(options: McpResourceOptions, ...none: undefined[]): McpResource {
  const where = 'mcpResource';
  assertNotRequest(where, options);
  rejectMoreOptions(where, none);
  const own = readOptions<Partial<OwnOptions>>(where, pickOptions(where, options, OWN), ownRules);
  const { verifier, scopes } = own;
  // A verifier has its own options.
  const names = [...OWN, ...BEARER, ...(verifier === undefined ? VERIFIER : []), ...METADATA];
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  rejectUnknown(where, given, [...new Set(names)]);
  if (own.resource === undefined) throw invalidOption(`${where}: resource`, resourceRule, undefined);
  // The rule has made a string of it.
  const resource = own.resource as string;
  const resourceMetadata = wellKnownUrl(resource).href;
  // Proofs name the URL of the resource, also behind a proxy.
  const { challengeScopes = scopes, baseUrl = new URL(resource).origin } = options;
  const forBearer = { ...pickOptions(where, options, BEARER), resourceMetadata, challengeScopes, baseUrl };
  const { audience = new URL(resource) } = options;
  const forVerifier = { ...pickOptions(where, options, VERIFIER), audience } as JwtBearerOptions;
  const authenticate =
    verifier === undefined
      ? createJwtBearer({ ...forVerifier, ...forBearer }, where)
      : createBearer(where, verifier, forBearer);
  const { scopesSupported = scopes } = options;
  const metadata = createMetadata(
    { ...pickOptions(where, options, METADATA), resource, scopesSupported, bearer: authenticate },
    where,
  );
  return { metadata, bearer: inOrder(authenticate, createAuthInfo({ resource })) };
}

/** The first middleware, then the second. It describes itself as the first. */
function inOrder(first: Middleware, second: Middleware): Middleware {
  const both: Middleware = (req, res, next) => {
    first(req, res, (error) => {
      if (error === undefined) second(req, res, next);
      else next(error);
    });
  };
  const description = descriptionOf(first);
  return description === undefined ? both : describeBearer(both, description);
}
