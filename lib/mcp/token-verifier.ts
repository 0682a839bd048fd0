import { InvalidRequestError, InvalidTokenError, type ResourceServerError, UpstreamError } from '../errors.js';
import {
  requestedNames,
  ScopeHierarchy,
  scopeHierarchyRule,
  type ScopeNames,
  scopeNamesRule,
  type ScopeTable,
} from '../express/scope-hierarchy.js';
import { invalidOption, readOptions, type Rule, type Rules } from '../options.js';
import { checkBinding } from '../proof/policy.js';
import { makeAuth } from '../token/access-token.js';
import { readConfirmation } from '../token/confirmation.js';
import { assertToken } from '../token/credentials.js';
import { isVerifier } from '../verify/wrap-verifier.js';
import type { TokenVerifier } from '../verify/token-verifier.js';
import { authInfoRules, makeAuthInfo, type McpAuthInfo, type McpAuthInfoOptions } from './auth-info.js';

type ErrorClass = new (message: string) => Error;

/** The error classes of version 1 of the SDK: `@modelcontextprotocol/sdk/server/auth/errors.js`. */
export interface McpErrorClasses {
  readonly InvalidTokenError: ErrorClass;
  readonly ServerError: ErrorClass;
}

/** Options of `mcpTokenVerifier`. */
export interface McpTokenVerifierOptions extends McpAuthInfoOptions {
  /** For version 1 of the SDK, which recognizes errors only by their class. @default errors of version 2 */
  errors?: McpErrorClasses | undefined;
  /** For each scope, the scopes that it includes, transitively. @default each scope includes only itself */
  scopeHierarchy?: ScopeTable | undefined;
  /** For each scope in tokens, the name that clients request; for the challenges of `mcpScopes`. @default the same names */
  scopeNames?: ScopeNames | undefined;
}

/** The `OAuthTokenVerifier` of the SDK. */
export interface McpTokenVerifier {
  readonly verifyAccessToken: (token: string) => Promise<McpAuthInfo>;
}

const errorsRule: Rule<McpErrorClasses> = {
  expected: 'the classes InvalidTokenError and ServerError of @modelcontextprotocol/sdk/server/auth/errors.js',
  fix: 'Leave it out for version 2 of the SDK.',
  parse: (value) => {
    if (typeof value !== 'object' || value === null) return undefined;
    // A namespace import has other members too.
    const { InvalidTokenError: invalid, ServerError: server } = value as Partial<McpErrorClasses>;
    const isComplete = typeof invalid === 'function' && typeof server === 'function';
    return isComplete ? { InvalidTokenError: invalid, ServerError: server } : undefined;
  },
};

const rules: Rules<McpTokenVerifierOptions> = {
  ...authInfoRules,
  errors: errorsRule,
  scopeHierarchy: scopeHierarchyRule,
  scopeNames: scopeNamesRule,
};

const verifierRule = {
  expected: 'an object with the function verify(token)',
  fix: 'Pass jwtVerifier({ … }) or introspectionVerifier({ … }).',
};

/**
 * Lets `requireBearerAuth` of the MCP SDK use a verifier of this package. Prefer `mcpResource` or `jwtBearer`: with
 * `requireBearerAuth`, an outage is 500 without `Retry-After` instead of 503, the first challenge has an `error` and only
 * the scopes that `requireBearerAuth` itself requires, sender-constrained tokens are rejected (RFC 9449, RFC 8705), tokens
 * without `exp` are rejected, and gates, `getAuth`, `authSignal`, `onRejection` and the diagnostics channels do not work.
 *
 * A rejected token becomes the SDK's `invalid_token`, an outage its `server_error`, never 401. Every other error is a
 * mistake of the programmer and passes through.
 *
 * @throws ConfigurationError for an option that is unknown or wrong, or a verifier without `verify`.
 */
export function mcpTokenVerifier(verifier: TokenVerifier, options: McpTokenVerifierOptions = {}): McpTokenVerifier {
  const where = 'mcpTokenVerifier';
  if (!isVerifier(verifier)) throw invalidOption(`${where}: verifier`, verifierRule, verifier);
  const { errors, scopeHierarchy, scopeNames, ...urls } = readOptions<McpTokenVerifierOptions>(where, options, rules);
  const settings = {
    scopeHierarchy: scopeHierarchy && ScopeHierarchy.of(scopeHierarchy),
    requestedScopes: (scopes: readonly string[]) => requestedNames(scopes, scopeNames),
  };
  return {
    verifyAccessToken: async (token) => {
      try {
        const accessToken = await verifier.verify(assertToken(token, verifier.allowsAnyTokenCharacters === true));
        checkBinding('Bearer', readConfirmation(accessToken.claims), UNBOUND_ONLY);
        return makeAuthInfo(makeAuth(accessToken, token, 'Bearer'), urls, settings);
      } catch (error) {
        throw toSdkError(error, errors);
      }
    },
  };
}

/** `requireBearerAuth` checks no proof. */
const UNBOUND_ONLY = { dpop: 'off', mtls: 'off', isBindingRequired: false } as const;

function toSdkError(error: unknown, classes: McpErrorClasses | undefined): unknown {
  const isRejection = error instanceof InvalidTokenError || error instanceof InvalidRequestError;
  if (isRejection) return sdkError(error, 'invalid_token', classes?.InvalidTokenError);
  return error instanceof UpstreamError ? sdkError(error, 'server_error', classes?.ServerError) : error;
}

// Two copies of the SDK recognize each other's errors by this brand, so it also recognizes ours.
const BRANDS = Symbol.for('mcp.sdk.errorBrands');

function sdkError(cause: ResourceServerError, code: string, constructor: ErrorClass | undefined): Error {
  const { message } = cause;
  if (constructor !== undefined) return Object.assign(new constructor(message), { cause });
  const error = Object.assign(new Error(message, { cause }), {
    code,
    toResponseObject: () => ({ error: code, error_description: message }),
  });
  error.name = 'OAuthError';
  return Object.defineProperty(error, BRANDS, { value: new Set(['mcp.OAuthError']) });
}
