export type { Scheme } from './challenge.js';
export {
  ConfigurationError,
  type ConfigurationProblem,
  type FailedCheck,
  InsufficientAuthenticationError,
  InsufficientScopeError,
  InvalidDpopProofError,
  InvalidRequestError,
  InvalidTokenError,
  MissingTokenError,
  ResourceServerError,
  UpstreamError,
} from './errors.js';
export type {
  ConfigurationReason,
  InsufficientAuthenticationReason,
  InsufficientScopeReason,
  InvalidDpopProofReason,
  InvalidRequestReason,
  InvalidTokenReason,
  MissingTokenReason,
  Reason,
  UpstreamReason,
} from './reasons.js';
export { type AuthorizationDetails, requireAuthorizationDetails } from './express/authorization-details.js';
export { getAuth, getOptionalAuth } from './express/auth.js';
export { authSignal } from './express/auth-signal.js';
export { bearer } from './express/bearer.js';
export {
  introspectionBearer,
  type IntrospectionBearerOptions,
  jwtBearer,
  type JwtBearerOptions,
} from './express/verifier-bearers.js';
export type { BearerOptions } from './express/bearer-options.js';
export type { Predicate } from './express/gate.js';
export {
  type ClaimValue,
  requireAnyScope,
  requireClaim,
  requireMachine,
  requireScopes,
  requireThat,
  type RequireThatOptions,
  requireUser,
  type SingleScope,
} from './express/gates.js';
export { type IssuerClient, requireClient, requireIssuer } from './express/client-gates.js';
export { protectedResourceMetadata, type ProtectedResourceMetadata } from './express/metadata.js';
export type { MetadataSignature, ProtectedResourceMetadataOptions } from './express/metadata-options.js';
export type { ScopeNames, ScopeTable } from './express/scope-hierarchy.js';
export { requireAuthentication, type RequireAuthenticationOptions } from './express/step-up.js';
export type { RejectionListener } from './express/report.js';
export type { Middleware, Next } from './express/middleware.js';
export type { ClientAuthentication, ClientSecret } from './issuer/client-authentication-options.js';
export type { Fetch } from './issuer/http.js';
export type { FetchInit, FetchResponse } from './issuer/fetch-response.js';
export { HttpError, type HttpFailure } from './issuer/http-error.js';
export type { KeyOptions, KeysHealth } from './issuer/key-set.js';
export type { ResourceHealth } from './issuer/refreshing-resource.js';
export type { CertificateFormat } from './proof/certificate-formats.js';
export type { DpopOptions } from './proof/dpop-options.js';
export type { ProofMode } from './proof/mode.js';
export type { CertificateSource, ClientCertificate, ForwardedCertificate, MtlsOptions } from './proof/mtls-options.js';
export type {
  AcceptedMessage,
  CacheMessage,
  DiagnosticMessages,
  DpopReplayMessage,
  IntrospectionMessage,
  RefreshedMessage,
  RefreshFailedMessage,
  RejectedMessage,
  StaleKeysMessage,
} from './diagnostics.js';
export type { ExplainedCheck, Explanation } from './token/checks.js';
export type { AccessToken, Auth, CallerRule } from './token/access-token.js';
export type { Audience } from './token/audience.js';
export type { Actor } from './token/caller.js';
export type { AsymmetricAlgorithm } from './token/algorithms.js';
export type { Jwk, JwkSet, WebCryptoKey } from './token/jwk-types.js';
export type { PrivateKey, SigningKeyOptions } from './token/private-key.js';
export { type Credentials, readCredentials } from './token/credentials.js';
export type { JwtHeader } from './token/parse-jwt.js';
export type { Profile } from './token/profile.js';
export type { PublicKey } from './token/public-key.js';
export { memoryStore, type MemoryStoreOptions } from './store/memory-store.js';
export type { IoredisClient, NodeRedisClient, RedisClient, RedisCommandSender } from './store/redis-client.js';
export { redisStore, type RedisStoreOptions } from './store/redis.js';
export type { Store } from './store/store.js';
export { introspectionVerifier, type IntrospectionVerifier } from './verify/introspection.js';
export type { IntrospectionCacheOptions } from './verify/introspection-cache-options.js';
export type { IntrospectionVerifierOptions } from './verify/introspection-options.js';
export { jwtVerifier, type JwtVerifier } from './verify/jwt.js';
export type { JwtVerifierOptions, SymmetricAlgorithm } from './verify/jwt-options.js';
export type { SharedVerifierOptions } from './verify/shared-options.js';
export type { CacheOptions } from './verify/token-cache.js';
export type { IssuerResolver, ResolvedIssuer } from './verify/dynamic-issuers.js';
export {
  type AccessTokenOptions,
  cachedVerifier,
  type CachedVerifierOptions,
  createAccessToken,
} from './verify/own-verifiers.js';
export type { TrustedIssuer } from './verify/issuer-limits.js';
export type { TokenVerifier, VerifierContext, VerifierHealth } from './verify/token-verifier.js';
export { trustedIssuers, type TrustedIssuersOptions, type TrustedIssuersVerifier } from './verify/trusted-issuers.js';
