import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { answerWithFault, type Fault } from './faults.js';

/** A request as the introspection endpoint saw it. */
export interface IntrospectionRequest {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  /** Body parameters; of a repeated one, the last. */
  readonly form: Readonly<Record<string, string>>;
}

/** How one signed answer (RFC 9701) differs from a good one. */
export interface SignedAnswerChanges {
  /** Members of the JOSE header to add or replace; `undefined` leaves one out. */
  header?: Record<string, unknown> | undefined;
  /** Claims of the answer itself, beside `token_introspection`, to add or replace; `undefined` leaves one out. */
  claims?: Record<string, unknown> | undefined;
}

/** What the endpoint has to know of the issuer that it belongs to. */
export interface IntrospectionHost {
  readonly url: string;
  readonly audience: string;
  readonly now: number;
  sign(claims: Record<string, unknown>, header: Record<string, unknown>): Promise<string>;
}

/** The introspection endpoint (RFC 7662) of a `TestIssuer`, under a test's control. */
export class TestIntrospection {
  /** What it was asked, the oldest first. */
  readonly seen: IntrospectionRequest[] = [];
  /** Who may ask, by `client_secret_basic` or `client_secret_post`. Everybody else gets `refusal`. @default anybody */
  client: { id: string; secret: string } | undefined;
  /** The status for those who may not ask. @default 401 */
  refusal = 401;
  /** What it says instead of the truth: any JSON. */
  rewrite: ((response: Record<string, unknown>, token: string) => unknown) | undefined;
  /** How its signed answers are wrong. */
  signedChanges: SignedAnswerChanges = {};
  /** Whether it gives signed answers to those who want them. */
  canSign = true;
  readonly #host: IntrospectionHost;
  readonly #tokens = new Map<string, Record<string, unknown>>();
  readonly #faults = new Map<string, Fault>();

  constructor(host: IntrospectionHost) {
    this.#host = host;
  }

  /** A token that is active and says this; `undefined` leaves a member out. */
  issue(claims: Record<string, unknown>, token = randomBytes(24).toString('base64url')): string {
    const { now, url, audience } = this.#host;
    const usual = { iss: url, aud: audience, sub: 'client-1', client_id: 'client-1', iat: now, exp: now + 300 };
    this.#tokens.set(token, { active: true, ...usual, ...claims });
    return token;
  }

  revoke(token: string): void {
    this.#tokens.delete(token);
  }

  /** Fails when it is asked about this token, and answers for all others. */
  failFor(token: string, fault: Fault): void {
    this.#faults.set(token, fault);
  }

  /** How often it was asked about a token. */
  timesAsked(token: string): number {
    return this.seen.filter(({ form }) => form.token === token).length;
  }

  async answer(req: IncomingMessage, res: ServerResponse, fault: Fault | undefined): Promise<void> {
    const request = { method: req.method ?? '', headers: req.headers, form: await readForm(req) };
    this.seen.push(request);
    const { token = '' } = request.form;
    const truth = this.#tokens.get(token) ?? { active: false };
    const response = this.rewrite === undefined ? truth : this.rewrite({ ...truth }, token);
    const failing = fault ?? this.#faults.get(token);
    if (failing !== undefined) {
      answerWithFault(failing, res, req.url ?? '', response);
    } else if (!this.#mayAsk(request)) {
      res.writeHead(this.refusal, { 'Content-Type': 'application/json' }).end('{"error":"invalid_client"}');
    } else if (this.canSign && request.headers.accept === SIGNED) {
      res.setHeader('Content-Type', SIGNED).end(await this.#signed(request, response));
    } else {
      res.setHeader('Content-Type', 'application/json').end(JSON.stringify(response));
    }
  }

  #mayAsk(request: IntrospectionRequest): boolean {
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

/** The id and secret that a request carries (RFC 6749 §2.3.1); empty where there are none. */
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
