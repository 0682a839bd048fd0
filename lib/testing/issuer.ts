import { type JsonWebKey, randomUUID, type webcrypto } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TextEncoder } from 'node:util';
import { CompactSign, type CompactJWSHeaderParameters, exportJWK, generateKeyPair } from 'jose';
import { respondWithFault, type Fault } from './faults.js';
import { TestIntrospection } from './introspection.js';

/** An endpoint of the issuer. */
export type IssuerDocument = 'metadata' | 'jwks' | 'introspection';

export interface TestIssuerOptions {
  /** The `aud` of its tokens. @default 'https://api.example.com' */
  audience?: string | undefined;
  /** The signature algorithm. @default 'ES256' */
  algorithm?: string | undefined;
  /** The path of the issuer, such as `/tenant`. @default none */
  path?: string | undefined;
  /** The well-known document that it serves; the other one is 404. @default both */
  wellKnown?: 'openid-configuration' | 'oauth-authorization-server' | undefined;
  /** The port on 127.0.0.1. @default a free one */
  port?: number | undefined;
  /** Returns the current time in seconds since the epoch. @default the system clock */
  clock?: (() => number) | undefined;
}

/** How a token differs from a valid one. */
export interface IssueOptions {
  /** Members of the JOSE header to add or replace; `undefined` removes one. */
  header?: Record<string, unknown> | undefined;
  /** The key that signs. @default the key of the issuer */
  key?: SigningKey | undefined;
  /** Any bytes to sign instead of claims. */
  payload?: Uint8Array | undefined;
}

export interface SigningKey {
  readonly kid: string;
  readonly algorithm: string;
  readonly privateKey: webcrypto.CryptoKey;
  readonly publicJwk: JsonWebKey & { kid: string; alg: string; use: string };
}

/** Generates a key pair. RSA keys take the longest. */
export async function makeSigningKey(algorithm = 'ES256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const kid = randomUUID();
  return {
    kid,
    algorithm,
    privateKey,
    publicJwk: { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' },
  };
}

/**
 * An authorization server that a test controls. It serves metadata, JWKS and introspection on a free loopback port, issues
 * valid and invalid tokens, rotates its keys, goes down, sends wrong responses, and counts requests.
 */
export class TestIssuer {
  /** Members of the metadata to add or replace. */
  readonly metadata: Record<string, unknown> = {};
  /** The published keys. A test may set any values. */
  published: unknown[] = [];
  /** The `Cache-Control` of metadata and JWKS. */
  cacheControl: string | undefined;
  /** The number of requests for each document. */
  readonly requests: Record<IssuerDocument, number> = { metadata: 0, jwks: 0, introspection: 0 };
  /** The number of connections. */
  connections = 0;
  readonly introspection: TestIntrospection;
  /** Responds to the requests for other paths. @default 404 */
  other: ((req: IncomingMessage, res: ServerResponse) => void) | undefined;
  readonly #options: TestIssuerOptions;
  readonly #faults = new Map<IssuerDocument, Fault>();
  readonly #server: Server;
  #port = 0;
  #key: SigningKey;

  private constructor(options: TestIssuerOptions, key: SigningKey) {
    this.#options = options;
    this.#port = options.port ?? 0;
    this.#key = key;
    this.published = [key.publicJwk];
    this.#server = createServer((req, res) => {
      this.#respond(req, res);
    });
    this.#server.on('connection', () => this.connections++);
    this.introspection = new TestIntrospection(this);
  }

  /** Starts an issuer; `close()` stops it. */
  static async start(options: TestIssuerOptions = {}): Promise<TestIssuer> {
    const issuer = new TestIssuer(options, await makeSigningKey(options.algorithm));
    await issuer.comeBack();
    return issuer;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}${this.#options.path ?? ''}`;
  }

  get jwksUri(): string {
    return `http://127.0.0.1:${this.#port}/jwks`;
  }

  get introspectionEndpoint(): string {
    return `http://127.0.0.1:${this.#port}/introspect`;
  }

  get audience(): string {
    return this.#options.audience ?? 'https://api.example.com';
  }

  get key(): SigningKey {
    return this.#key;
  }

  get now(): number {
    return Math.floor(this.#options.clock?.() ?? Date.now() / 1000);
  }

  /** Issues a JWT that is valid unless the arguments make it invalid. `undefined` removes a claim. */
  async issue(claims: Record<string, unknown> = {}, options: IssueOptions = {}): Promise<string> {
    const { now } = this;
    const all = {
      iss: this.url,
      aud: this.audience,
      sub: 'client-1',
      client_id: 'client-1',
      iat: now,
      exp: now + 300,
      jti: randomUUID(),
      ...claims,
    };
    const payload = options.payload ?? new TextEncoder().encode(JSON.stringify(all));
    return this.#sign(payload, { typ: 'at+jwt', ...options.header }, options.key);
  }

  /** Signs exactly these claims; `undefined` removes one. */
  sign(claims: Record<string, unknown>, header: Record<string, unknown>): Promise<string> {
    return this.#sign(new TextEncoder().encode(JSON.stringify(claims)), header);
  }

  async #sign(payload: Uint8Array, header: Record<string, unknown>, key = this.#key): Promise<string> {
    const all = { alg: key.algorithm, kid: key.kid, ...header };
    const encoded = JSON.parse(JSON.stringify(all)) as CompactJWSHeaderParameters;
    // jose signs a critical extension only if it is declared as known.
    const crit = Object.fromEntries((Array.isArray(encoded.crit) ? encoded.crit : []).map((name) => [name, true]));
    return new CompactSign(payload).setProtectedHeader(encoded).sign(key.privateKey, { crit });
  }

  /** Issues an active opaque token. The claims are added to its introspection response; `undefined` removes a member. */
  issueOpaque(claims: Record<string, unknown> = {}, token?: string): string {
    return this.introspection.issue(claims, token);
  }

  /** Makes an opaque token inactive. */
  revoke(token: string): void {
    this.introspection.revoke(token);
  }

  /** Signs with a new key from now on. The old key is no longer published, unless `dropOld` is `false`. */
  async rotate({ dropOld = true } = {}): Promise<SigningKey> {
    this.#key = await makeSigningKey(this.#options.algorithm);
    this.published = dropOld ? [this.#key.publicJwk] : [...this.published, this.#key.publicJwk];
    return this.#key;
  }

  /** Makes requests for one document fail until `heal` is called. */
  fail(document: IssuerDocument, fault: Fault): void {
    this.#faults.set(document, fault);
  }

  heal(): void {
    this.#faults.clear();
  }

  /** Closes all connections and accepts no new ones. */
  async goDown(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  /** Listens again on the same port. */
  async comeBack(): Promise<void> {
    if (this.#server.listening) return;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  close(): Promise<void> {
    return this.goDown();
  }

  #respond(req: IncomingMessage, res: ServerResponse): void {
    res.setHeader('Date', new Date(this.now * 1000).toUTCString());
    const document = this.#documentAt(req.url ?? '');
    if (document === undefined) {
      if (this.other === undefined) res.writeHead(404).end('not found');
      else this.other(req, res);
      return;
    }
    this.requests[document]++;
    if (document === 'introspection') {
      // Fails if the client disconnects while it sends the body.
      this.introspection.respond(req, res, this.#faults.get(document)).catch(() => res.destroy());
      return;
    }
    const content = document === 'jwks' ? { keys: this.published } : this.#metadata();
    const fault = this.#faults.get(document);
    if (fault !== undefined) {
      respondWithFault(fault, res, req.url ?? '', content);
      return;
    }
    if (this.cacheControl !== undefined) res.setHeader('Cache-Control', this.cacheControl);
    res.setHeader('Content-Type', 'application/json').end(JSON.stringify(content));
  }

  #documentAt(url: string): IssuerDocument | undefined {
    const { path = '', wellKnown } = this.#options;
    const forms = {
      'openid-configuration': `${path}/.well-known/openid-configuration`,
      'oauth-authorization-server': `/.well-known/oauth-authorization-server${path}`,
    };
    const served = wellKnown === undefined ? Object.values(forms) : [forms[wellKnown]];
    if (served.includes(url)) return 'metadata';
    if (url.startsWith('/introspect')) return 'introspection';
    return url.startsWith('/jwks') ? 'jwks' : undefined;
  }

  #metadata(): Record<string, unknown> {
    return {
      issuer: this.url,
      jwks_uri: this.jwksUri,
      introspection_endpoint: this.introspectionEndpoint,
      ...this.metadata,
    };
  }
}
