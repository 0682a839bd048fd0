import type { OAuthClientInformationMixed, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js';
import { REDIRECT_URL } from './mcp-authorization-server.js';

/**
 * The credentials of one user at one client, for both versions of the SDK: authorization code with PKCE, at a client that
 * registers itself unless it has an id.
 */
export class McpUser {
  readonly redirectUrl = REDIRECT_URL;
  readonly clientMetadata = {
    client_name: 'test',
    redirect_uris: [REDIRECT_URL],
    grant_types: ['authorization_code'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
  /** Where the browser must go. */
  authorizationUrl: URL | undefined;
  onTokens: (() => void) | undefined;
  /** How often tokens were received. */
  grants = 0;

  #client: OAuthClientInformationMixed | undefined;
  #tokens: OAuthTokens | undefined;
  #codeVerifier = '';
  #discovery: unknown;

  constructor(options: { readonly refreshes: boolean; readonly clientId?: string }) {
    if (options.refreshes) this.clientMetadata.grant_types.push('refresh_token');
    if (options.clientId !== undefined) this.#client = { client_id: options.clientId };
  }

  clientInformation(): OAuthClientInformationMixed | undefined {
    return this.#client;
  }

  saveClientInformation(client: OAuthClientInformationMixed): void {
    this.#client = client;
  }

  tokens(): OAuthTokens | undefined {
    return this.#tokens;
  }

  saveTokens(tokens: OAuthTokens): void {
    this.grants++;
    this.onTokens?.();
    this.#tokens = tokens;
  }

  redirectToAuthorization(url: URL): void {
    this.authorizationUrl = url;
  }

  saveCodeVerifier(codeVerifier: string): void {
    this.#codeVerifier = codeVerifier;
  }

  codeVerifier(): string {
    return this.#codeVerifier;
  }

  saveDiscoveryState(state: unknown): void {
    this.#discovery = state;
  }

  discoveryState(): never {
    return this.#discovery as never;
  }
}
