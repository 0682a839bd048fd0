export {
  ConfigurationError,
  type ConfigurationProblem,
  type ConfigurationReason,
  InsufficientScopeError,
  type InsufficientScopeReason,
  InvalidRequestError,
  type InvalidRequestReason,
  InvalidTokenError,
  type InvalidTokenReason,
  MissingTokenError,
  type Reason,
  ResourceServerError,
  UpstreamError,
  type UpstreamReason,
} from './errors.js';
export { getAuth } from './express/auth.js';
export { bearer, type BearerOptions, jwtBearer, type JwtBearerOptions } from './express/bearer.js';
export {
  type ClaimValue,
  type Predicate,
  requireAnyScope,
  requireClaim,
  requireClient,
  requireMachine,
  requireScopes,
  requireThat,
  type RequireThatOptions,
  requireUser,
} from './express/gates.js';
export type { Middleware, Next } from './express/middleware.js';
export type { Fetch } from './issuer/http.js';
export type { KeyOptions, KeysHealth } from './issuer/keys.js';
export type { KeptHealth } from './issuer/kept.js';
export type { AccessToken, Auth } from './token/access-token.js';
export type { JwtHeader } from './token/jwt.js';
export type { Store } from './store/store.js';
export { jwtVerifier, type JwtVerifier } from './verify/jwt.js';
export type { Finding } from './verify/claim-checks.js';
export type { AsymmetricAlgorithm, JwtVerifierOptions, SymmetricAlgorithm } from './verify/jwt-options.js';
export type { CacheOptions } from './verify/remember.js';
export type { TokenVerifier } from './verify/token-verifier.js';
