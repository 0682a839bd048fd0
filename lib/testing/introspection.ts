import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { respondWithFault, type Fault } from './faults.js';

/** A request that the introspection endpoint received. */
export interface IntrospectionRequest {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  /** The parameters of the body; if one is repeated, its last value. */
  readonly form: Readonly<Record<string, string>>;
}

/** How a signed response (RFC 9701) differs from a valid one. */
export interface SignedResponseChanges {
  /** Members of the JOSE header to add or replace; `undefined` removes one. */
  header?: Record<string, unknown> | undefined;
  /** Claims other than `token_introspection` to add or replace; `undefined` removes one. */
  claims?: Record<string, unknown> | undefined;
}

/** The part of the issuer that the endpoint needs. */
export interface IntrospectionHost {
  readonly url: string;
  readonly audience: string;
  readonly now: number;
  sign(claims: Record<string, unknown>, header: Record<string, unknown>): Promise<string>;
}

/** The introspection endpoint (RFC 7662) of a `TestIssuer`. The test controls its responses. */
export class TestIntrospection {
  /** The requests that it received, the oldest first. */
  readonly seen: IntrospectionRequest[] = [];
  /**
   * The client that may introspect, by `client_secret_basic` or `client_secret_post`; others receive `rejectionStatus`.
   * @default any client
   */
  client: { id: string; secret: string } | undefined;
  /** The status for other clients. @default 401 */
  rejectionStatus = 401;
  /** Replaces a response; may return any JSON. */
  rewrite: ((response: Record<string, unknown>, token: string) => unknown) | undefined;
  /** Makes its signed responses invalid. */
  signedChanges: SignedResponseChanges = {};
  /** Whether it sends signed responses to clients that accept them. */
  canSign = true;
  readonly #host: IntrospectionHost;
  readonly #tokens = new Map<string, Record<string, unknown>>();
  readonly #faults = new Map<string, Fault>();

  constructor(host: IntrospectionHost) {
    this.#host = host;
  }

  /** Issues an active token. The claims are added to the response; `undefined` removes a member. */
  issue(claims: Record<string, unknown>, token = randomBytes(24).toString('base64url')): string {
    const { now, url, audience } = this.#host;
    const defaults = { iss: url, aud: audience, sub: 'client-1', client_id: 'client-1', iat: now, exp: now + 300 };
    this.#tokens.set(token, { active: true, ...defaults, ...claims });
    return token;
  }

  revoke(token: string): void {
    this.#tokens.delete(token);
  }

  /** Fails for requests about this token only. */
  failFor(token: string, fault: Fault): void {
    this.#faults.set(token, fault);
  }

  /** How often a token was introspected. */
  timesAsked(token: string): number {
    return this.seen.filter(({ form }) => form.token === token).length;
  }

  async respond(req: IncomingMessage, res: ServerResponse, fault: Fault | undefined): Promise<void> {
    const request = { method: req.method ?? '', headers: req.headers, form: await readForm(req) };
    this.seen.push(request);
    const { token = '' } = request.form;
    const result = this.#tokens.get(token) ?? { active: false };
    const response = this.rewrite === undefined ? result : this.rewrite({ ...result }, token);
    const failing = fault ?? this.#faults.get(token);
    if (failing !== undefined) {
      respondWithFault(failing, res, req.url ?? '', response);
    } else if (!this.#isAllowed(request)) {
      res.writeHead(this.rejectionStatus, { 'Content-Type': 'application/json' }).end('{"error":"invalid_client"}');
    } else if (this.canSign && request.headers.accept === SIGNED) {
      res.setHeader('Content-Type', SIGNED).end(await this.#signed(request, response));
    } else {
      res.setHeader('Content-Type', 'application/json').end(JSON.stringify(response));
    }
  }

  #isAllowed(request: IntrospectionRequest): boolean {
    if (this.client === undefined) return true;
    const { id, secret } = credentialsOf(request);
    return request.method === 'POST' && id === this.client.id && secret === this.client.secret;
  }

  // RFC 9701 §5.
  #signed(request: IntrospectionRequest, response: unknown): Promise<string> {
    const { header, claims } = this.signedChanges;
    const { url, now } = this.#host;
    return this.#host.sign(
      { iss: url, aud: credentialsOf(request).id, iat: now, token_introspection: response, ...claims },
      { typ: 'token-introspection+jwt', ...header },
    );
  }
}

const SIGNED = 'application/token-introspection+jwt';

/** The client id and secret of a request (RFC 6749 §2.3.1); empty strings if there are none. */
export function credentialsOf({ headers, form }: IntrospectionRequest): { id: string; secret: string } {
  const basic = /^Basic ([A-Za-z0-9+/]+=*)$/.exec(headers.authorization ?? '')?.[1];
  if (basic === undefined) return { id: form.client_id ?? '', secret: form.client_secret ?? '' };
  const text = Buffer.from(basic, 'base64').toString();
  const colon = text.indexOf(':');
  return { id: formDecode(text.slice(0, colon)), secret: formDecode(text.slice(colon + 1)) };
}

function formDecode(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}

async function readForm(req: IncomingMessage): Promise<Record<string, string>> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
}
