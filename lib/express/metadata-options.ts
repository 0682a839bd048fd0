import { ConfigurationError } from '../errors.js';
import {
  firstMistake,
  flag,
  invalidOption,
  readOptions,
  type Rule,
  type Rules,
  text,
  texts,
  wholeSeconds,
} from '../options.js';
import { isText } from '../token/claims.js';
import { describeSigningKey, readSigningKey, type SigningKeyOptions } from '../token/private-key.js';
import { isPlainObject } from '../util/is-plain-object.js';
import { issuerDoubt } from '../util/doubt.js';
import { urlMistake } from '../util/setting.js';
import { isSecureUrl, parseUrl } from '../util/url.js';
import { type BearerDescription, descriptionOf } from './bearer-description.js';
import type { Middleware } from './middleware.js';
import { resourceRule } from './resource-url.js';
import { requestedNames, type ScopeNames, scopeNamesRule } from './scope-hierarchy.js';
import { requestedScopesRule } from './scopes.js';

/** How the metadata is signed (RFC 9728 §2.2): a private key, its algorithm such as `'ES256'`, and who signs. */
export interface MetadataSignature extends SigningKeyOptions {
  /** `iss` of the signed metadata. */
  readonly issuer: string;
}

/** Options of `protectedResourceMetadata`: the members of RFC 9728 §2 in camel case, and how they are served. */
export interface ProtectedResourceMetadataOptions {
  /** The URL at which clients reach this API. A string is served exactly as it is. */
  resource: string | URL;
  /**
   * The issuers whose tokens this API accepts, exactly as in their own metadata. @default the issuers of `bearer`;
   * required without it
   */
  authorizationServers?: readonly string[] | undefined;
  /** The bearer middleware of this resource, or several: the defaults of other members come from it. @default none */
  bearer?: Middleware | readonly Middleware[] | undefined;
  /** The scopes that clients can request for this resource. @default none */
  scopesSupported?: readonly string[] | undefined;
  /** For each scope in tokens, the name that clients request. @default `scopeNames` of `bearer` */
  scopeNames?: ScopeNames | undefined;
  /** How a token can be presented (RFC 6750 §2). @default ['header'] */
  bearerMethodsSupported?: readonly ('header' | 'body' | 'query')[] | undefined;
  /** The address of this API's own public keys, for example of signed responses. @default none */
  jwksUri?: string | undefined;
  /** The algorithms with which this API signs its responses. @default none */
  resourceSigningAlgValuesSupported?: readonly string[] | undefined;
  /** The name of this API for people. @default none */
  resourceName?: string | undefined;
  /** The address of a page for developers. @default none */
  resourceDocumentation?: string | undefined;
  /** The address of a page about how clients may use the data. @default none */
  resourcePolicyUri?: string | undefined;
  /** The address of the terms of service. @default none */
  resourceTosUri?: string | undefined;
  /** Whether tokens bound to a client certificate are accepted (RFC 8705). @default true if `mtls` of `bearer` is on */
  tlsClientCertificateBoundAccessTokens?: boolean | undefined;
  /** The types of authorization details (RFC 9396) that this API supports. @default none */
  authorizationDetailsTypesSupported?: readonly string[] | undefined;
  /** The algorithms of DPoP proofs. @default those of `bearer`, with `Ed25519` for `EdDSA` (RFC 9864) */
  dpopSigningAlgValuesSupported?: readonly string[] | undefined;
  /** Whether each token must be bound to a DPoP key. @default true if `bearer` requires it */
  dpopBoundAccessTokensRequired?: boolean | undefined;
  /** Adds `signed_metadata`, a JWT with the same members. @default none */
  signedMetadata?: MetadataSignature | undefined;
  /** How long clients may cache the document. Seconds, 0 to 31,536,000. @default 3600 */
  maxAge?: number | undefined;
}

export const DEFAULT_MAX_AGE = 3_600;

const issuerFix = 'Pass the issuer as its own metadata has it, a string such as "https://auth.example.com".';

const authorizationServersRule: Rule<string[]> = {
  ...texts('an array of https: URLs without user, query and fragment (http: on loopback)', issuerFix, isIssuer),
  hint: (value) => {
    if (Array.isArray(value) && value.some((item) => item instanceof URL))
      return 'Pass strings: a URL object adds a slash to a bare origin, and issuers are compared exactly.';
    return typeof value === 'string' ? 'Pass an array.' : firstMistake(value, urlMistake);
  },
  doubt: (value) => firstMistake(value, issuerDoubt),
};

// RFC 8414 §2
function isIssuer(value: string): boolean {
  return isSecureUrl(value, false) && urlMistake(value) === undefined && !/[?#\s]/.test(value);
}

const bearerRule: Rule<Middleware | readonly Middleware[]> = {
  expected: 'a bearer middleware of this package, or a non-empty array of them',
  fix: 'Pass what jwtBearer, introspectionBearer or bearer returns.',
  parse: (value) => {
    const list: unknown[] = Array.isArray(value) ? value : [value];
    const isComplete = list.length > 0 && list.every((item) => descriptionOf(item) !== undefined);
    return isComplete ? (list as Middleware[]) : undefined;
  },
};

const page = (what: string): Rule<string> =>
  text('an absolute https: or http: URL', `Pass the address of ${what}.`, (value) =>
    /^https?:$/.test(parseUrl(value)?.protocol ?? ''),
  );

const methodsRule: Rule<('header' | 'body' | 'query')[]> = {
  expected: 'an array of "header", "body" and "query"',
  fix: 'Leave it out for header.',
  parse: (value) => {
    const methods = texts('', '').parse(value, '');
    const known = (['header', 'body', 'query'] as const).filter((method) => methods?.includes(method));
    return known.length > 0 && known.length === methods?.length ? known : undefined;
  },
};

// RFC 9728 §2: `none` is not allowed.
const signingAlgorithmsRule = texts(
  'an array of algorithms, without "none"',
  'Name algorithms such as "ES256".',
  (value) => value !== 'none',
);

const signatureRule: Rule<MetadataSignature> = {
  expected: '{ issuer, privateKey, algorithm, keyId? }',
  fix: 'Pass who signs, a private key, and an algorithm such as "ES256".',
  hint: (value) => (isPlainObject(value) && value.privateKey !== undefined ? describeSigningKey(value) : undefined),
  secret: true,
  parse: (value) => {
    if (!isPlainObject(value)) return undefined;
    const { issuer, privateKey, algorithm, keyId, ...others } = value;
    const key = readSigningKey({ privateKey, algorithm, keyId });
    const isComplete = isText(issuer) && key !== undefined && Object.keys(others).length === 0;
    return isComplete ? { issuer, ...key } : undefined;
  },
};

const rules: Rules<ProtectedResourceMetadataOptions> = {
  resource: resourceRule,
  authorizationServers: authorizationServersRule,
  bearer: bearerRule,
  scopesSupported: requestedScopesRule,
  scopeNames: scopeNamesRule,
  bearerMethodsSupported: methodsRule,
  jwksUri: text('an https: URL (http: on loopback)', 'Pass the address of the JWKS of this API.', (value) =>
    isSecureUrl(value, false),
  ),
  resourceSigningAlgValuesSupported: signingAlgorithmsRule,
  resourceName: text('a non-empty string', 'Pass the name of this API for people.'),
  resourceDocumentation: page('a page for developers'),
  resourcePolicyUri: page('a page about how clients may use the data'),
  resourceTosUri: page('the terms of service'),
  tlsClientCertificateBoundAccessTokens: flag('Leave it out to follow the option mtls of the bearer middleware.'),
  authorizationDetailsTypesSupported: texts('an array of types', 'Name the types of RFC 9396 that this API supports.'),
  dpopSigningAlgValuesSupported: signingAlgorithmsRule,
  dpopBoundAccessTokensRequired: flag('Leave it out to follow the option dpop of the bearer middleware.'),
  signedMetadata: signatureRule,
  maxAge: wholeSeconds(0, 31_536_000, `Leave it out for ${DEFAULT_MAX_AGE}.`),
};

/** The names of the options, for integrations that accept them too. */
export const METADATA_OPTIONS: readonly string[] = Object.keys(rules);

/** The metadata document (RFC 9728 §2), in wire spelling. */
export type MetadataDocument = Readonly<Record<string, unknown>>;

/** The options, checked and complete. */
export interface MetadataSettings {
  readonly resource: string;
  readonly document: MetadataDocument;
  readonly signature: MetadataSignature | undefined;
  readonly maxAge: number;
}

export function readMetadataOptions(given: ProtectedResourceMetadataOptions, where: string): MetadataSettings {
  const options = readOptions<Partial<ProtectedResourceMetadataOptions>>(where, given, rules);
  if (options.resource === undefined) throw invalidOption(`${where}: resource`, resourceRule, undefined);
  const resource = options.resource as string;
  const bearers = (options.bearer ?? []) as readonly Middleware[];
  const descriptions = bearers.map((middleware) => descriptionOf(middleware)).filter((each) => each !== undefined);
  const document = buildDocument(where, resource, options, descriptions);
  return { resource, document, signature: options.signedMetadata, maxAge: options.maxAge ?? DEFAULT_MAX_AGE };
}

function buildDocument(
  where: string,
  resource: string,
  options: Partial<ProtectedResourceMetadataOptions>,
  descriptions: readonly BearerDescription[],
): MetadataDocument {
  const names =
    options.scopeNames ?? Object.fromEntries(descriptions.flatMap((each) => Object.entries(each.scopeNames)));
  const document = {
    resource,
    authorization_servers: options.authorizationServers ?? findIssuers(where, descriptions),
    jwks_uri: options.jwksUri,
    scopes_supported:
      options.scopesSupported === undefined ? undefined : requestedNames(options.scopesSupported, names),
    bearer_methods_supported: options.bearerMethodsSupported ?? ['header'],
    resource_signing_alg_values_supported: options.resourceSigningAlgValuesSupported,
    resource_name: options.resourceName,
    resource_documentation: options.resourceDocumentation,
    resource_policy_uri: options.resourcePolicyUri,
    resource_tos_uri: options.resourceTosUri,
    tls_client_certificate_bound_access_tokens:
      options.tlsClientCertificateBoundAccessTokens ?? onlyTrue(descriptions.some((each) => each.supportsMtls)),
    authorization_details_types_supported: options.authorizationDetailsTypesSupported,
    dpop_signing_alg_values_supported: options.dpopSigningAlgValuesSupported ?? proofAlgorithms(descriptions),
    dpop_bound_access_tokens_required:
      options.dpopBoundAccessTokensRequired ??
      onlyTrue(descriptions.length > 0 && descriptions.every((each) => each.isDpopRequired)),
  };
  return Object.fromEntries(Object.entries(document).filter(([, value]) => value !== undefined));
}

// RFC 9728 §2: without the member, the value is false.
function onlyTrue(value: boolean): true | undefined {
  return value ? true : undefined;
}

function findIssuers(where: string, descriptions: readonly BearerDescription[]): string[] {
  const issuers = new Set(descriptions.flatMap((description) => description.authorizationServers()));
  // Without one, a client looks for the endpoints of the authorization server at this API, and sends its secret there.
  if (issuers.size === 0) {
    throw new ConfigurationError({
      option: `${where}: authorizationServers`,
      expected: 'at least one issuer',
      got: descriptions.length === 0 ? 'neither authorizationServers nor bearer' : 'a bearer without a known issuer',
      fix: 'Pass authorizationServers: ["https://auth.example.com"], or the middleware of jwtBearer as bearer.',
    });
  }
  const unusable = [...issuers].find((issuer) => !isIssuer(issuer));
  if (unusable !== undefined) {
    throw invalidOption(`${where}: authorizationServers`, { ...authorizationServersRule, hint: () => issuerFix }, [
      unusable,
    ]);
  }
  return [...issuers];
}

// RFC 9864 §2.2: EdDSA is deprecated, because it does not name the curve.
function proofAlgorithms(descriptions: readonly BearerDescription[]): string[] | undefined {
  const names = descriptions.flatMap((description) => description.dpopAlgorithms);
  const algorithms = new Set(names.map((name) => (name === 'EdDSA' ? 'Ed25519' : name)));
  return algorithms.size === 0 ? undefined : [...algorithms];
}
