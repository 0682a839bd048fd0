import { resourceMetadataRule, resourceRule } from '../express/resource-url.js';
import type { RespondSettings } from '../express/respond.js';
import type { Rules } from '../options.js';
import type { Auth } from '../token/access-token.js';

/**
 * What tools of the SDK read about the caller: the `AuthInfo` of its versions 2 and 1. Each request has its own, so tools may
 * change it.
 */
export interface McpAuthInfo {
  token: string;
  /** The calling client; `''` if the token names none, or two different ones. */
  clientId: string;
  /** The granted scopes, and all that they include by the hierarchy: the SDK compares scopes exactly. */
  scopes: string[];
  /** Seconds since the epoch. */
  expiresAt?: number;
  /** The resource that the token was issued for (RFC 8707). */
  resource?: URL;
  /** The address of the metadata of this resource; the SDK names it in its challenges. Version 2 only. */
  resourceMetadataUrl?: string;
  /** The other members of `Auth`, such as `subject` and `claims`. `grantedScopes` are the scopes of the token. */
  extra?: Record<string, unknown>;
}

/** Options of `mcpAuthInfo`. */
export interface McpAuthInfoOptions {
  /** The URL at which clients reach the MCP server. @default none */
  resource?: string | URL | undefined;
  /**
   * Where the metadata of the resource is: a URL, or the middleware of `protectedResourceMetadata`.
   * @default `resourceMetadata` of the bearer middleware
   */
  resourceMetadata?: string | URL | { readonly url: string } | undefined;
}

export const authInfoRules: Rules<McpAuthInfoOptions> = {
  resource: resourceRule,
  resourceMetadata: resourceMetadataRule,
};

/** What the SDK may know about the resource; the rules have made strings of the options. */
export type ResourceUrls = Pick<McpAuthInfoOptions, 'resource' | 'resourceMetadata'>;

/** What `mcpScopes` needs to know of the middleware that accepted the token. */
export type ScopeSettings = Pick<RespondSettings, 'scopeHierarchy' | 'requestedScopes'>;

// All copies of the package share it. It is not enumerable, so that nothing logs it.
const SCOPE_SETTINGS = Symbol.for('express-resource-server.mcp-scopes.v1');

export function makeAuthInfo(auth: Auth, urls: ResourceUrls, settings: ScopeSettings): McpAuthInfo {
  const { token, clientId = '', scopes, expiresAt, ...others } = auth;
  const { resource, resourceMetadata } = urls;
  const authInfo: McpAuthInfo = {
    token,
    clientId,
    scopes: settings.scopeHierarchy?.expand(scopes) ?? [...scopes],
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(resource === undefined ? {} : { resource: new URL(resource) }),
    ...(resourceMetadata === undefined ? {} : { resourceMetadataUrl: resourceMetadata as string }),
    extra: { ...others, grantedScopes: scopes },
  };
  const { scopeHierarchy, requestedScopes } = settings;
  return Object.defineProperty(authInfo, SCOPE_SETTINGS, { value: { scopeHierarchy, requestedScopes } });
}

/** The settings with which this `AuthInfo` was made; none for one that another function made. */
export function scopeSettingsOf(authInfo: object): ScopeSettings {
  return (Reflect.get(authInfo, SCOPE_SETTINGS) as ScopeSettings | undefined) ?? {};
}
