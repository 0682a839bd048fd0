export type { McpAuthInfo, McpAuthInfoOptions } from './auth-info.js';
export { mcpAuthInfo } from './auth-info-middleware.js';
export { mcpResource, type McpResource, type McpResourceOptions } from './resource.js';
export { type McpScopeChallenge, type McpScopeChallengeHandler, mcpScopes } from './scopes.js';
export {
  type McpErrorClasses,
  mcpTokenVerifier,
  type McpTokenVerifier,
  type McpTokenVerifierOptions,
} from './token-verifier.js';
export { mcpToolScopes, type ToolScopes } from './tool-scopes.js';
