import { randomUUID } from 'node:crypto';
import type { TestKey } from './test-key.js';

/** A request that the test issuer received. */
export interface ReceivedRequest {
  readonly method: string;
  /** The path, with its query. */
  readonly path: string;
  /** The parameters of a form body; empty without a body. */
  readonly form: Readonly<Record<string, string>>;
}

export interface ServerRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

export interface ServerResponse {
  readonly status: number;
  readonly body: string;
}

type Claims = Readonly<Record<string, unknown>>;

/**
 * The endpoints of an authorization server, without a network: metadata (RFC 8414, OpenID Connect Discovery), JWKS and
 * introspection (RFC 7662).
 */
export class AuthorizationServer {
  /** The credentials of the API for introspection. */
  readonly clientId = 'test-api';
  readonly clientSecret = randomUUID();
  readonly requests: ReceivedRequest[] = [];
  /** The published keys. */
  keys: readonly TestKey[] = [];
  readonly #now: () => number;
  readonly #active = new Map<string, Claims>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Makes a token active for introspection. */
  activate(token: string, claims: Claims): void {
    this.#active.set(token, claims);
  }

  revoke(token: string): void {
    this.#active.delete(token);
  }

  respond(url: string, { method, path, authorization, body }: ServerRequest): ServerResponse {
    const form = Object.fromEntries(new URLSearchParams(body));
    this.requests.push({ method, path, form });
    switch (path.replace(/\?.*$/s, '')) {
      case '/.well-known/openid-configuration':
      case '/.well-known/oauth-authorization-server':
        return method === 'GET' ? json(metadataOf(url)) : json({ error: 'invalid_request' }, 405);
      case '/jwks':
        return method === 'GET' ? json({ keys: this.keys.map(publish) }) : json({ error: 'invalid_request' }, 405);
      case '/introspect':
        return this.#introspect(method, authorization, form);
      default:
        return json({ error: 'not_found' }, 404);
    }
  }

  #introspect(
    method: string,
    authorization: string | undefined,
    form: Readonly<Record<string, string>>,
  ): ServerResponse {
    if (method !== 'POST') return json({ error: 'invalid_request' }, 405);
    const { id, secret } = credentialsOf(authorization, form);
    if (id !== this.clientId || secret !== this.clientSecret) return json({ error: 'invalid_client' }, 401);
    const claims = this.#active.get(form.token ?? '');
    const isActive = claims !== undefined && !(typeof claims.exp === 'number' && claims.exp <= this.#now());
    return json(isActive ? { active: true, ...claims } : { active: false });
  }
}

function metadataOf(url: string): object {
  return {
    issuer: url,
    jwks_uri: `${url}/jwks`,
    introspection_endpoint: `${url}/introspect`,
    introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    response_types_supported: [],
  };
}

function publish({ publicJwk, kid, algorithm }: TestKey): object {
  return { ...publicJwk, kid, use: 'sig', alg: algorithm };
}

/** `client_secret_basic` or `client_secret_post` (RFC 6749 §2.3.1). */
function credentialsOf(
  authorization: string | undefined,
  { client_id: id, client_secret: secret }: Readonly<Record<string, string>>,
): { id: string | undefined; secret: string | undefined } {
  const basic = /^Basic ([A-Za-z0-9+/]+=*)$/i.exec(authorization ?? '')?.[1];
  if (basic === undefined) return { id, secret };
  const [user = '', password = ''] = Buffer.from(basic, 'base64').toString().split(':');
  // The two parts are form-encoded, which URLSearchParams decodes.
  const decode = (text: string): string => new URLSearchParams(`x=${text}`).get('x') ?? '';
  return { id: decode(user), secret: decode(password) };
}

function json(content: object, status = 200): ServerResponse {
  return { status, body: JSON.stringify(content) };
}
