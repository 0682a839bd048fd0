import { type JsonWebKey, randomUUID, type webcrypto } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CompactSign, type CompactJWSHeaderParameters, exportJWK, generateKeyPair } from 'jose';
import { answerWithFault, type Fault } from './faults.js';
import { TestIntrospection } from './introspection.js';

/** Which of the issuer's documents. */
export type IssuerDocument = 'metadata' | 'jwks' | 'introspection';

export interface TestIssuerOptions {
  /** `aud` of its tokens. @default 'https://api.example.com' */
  audience?: string | undefined;
  /** How it signs. @default 'ES256' */
  algorithm?: string | undefined;
  /** Path of the issuer below its origin, such as `/tenant`. @default none */
  path?: string | undefined;
  /** The well-known form that is served; the other answers 404. @default both */
  wellKnown?: 'openid-configuration' | 'oauth-authorization-server' | undefined;
  /** The port on 127.0.0.1. @default one that the system chooses */
  port?: number | undefined;
  /** What time it is: seconds since the epoch. @default the system clock */
  clock?: (() => number) | undefined;
}

/** How one token differs from a good one. */
export interface IssueOptions {
  /** Members of the JOSE header to add or replace; `undefined` leaves one out. */
  header?: Record<string, unknown> | undefined;
  /** Sign with this key instead of the issuer's. */
  key?: SigningKey | undefined;
  /** The payload to sign instead of claims, whatever its bytes. */
  payload?: Uint8Array | undefined;
}

export interface SigningKey {
  readonly kid: string;
  readonly algorithm: string;
  readonly privateKey: webcrypto.CryptoKey;
  readonly publicJwk: JsonWebKey & { kid: string; alg: string; use: string };
}

/** Makes a key pair; RSA keys take the longest. */
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
 * An authorization server under a test's control: it serves metadata and JWKS on a loopback port of the system's choice,
 * signs tokens good and bad, tells of opaque ones, rotates its keys, goes down, misbehaves, and counts what it was asked.
 */
export class TestIssuer {
  /** Members added to the metadata, or replacing what is there. */
  readonly metadata: Record<string, unknown> = {};
  /** The keys it publishes; a test may put anything here. */
  published: unknown[] = [];
  /** `Cache-Control` of its documents. */
  cacheControl: string | undefined;
  /** How often each document was asked for. */
  readonly requests: Record<IssuerDocument, number> = { metadata: 0, jwks: 0, introspection: 0 };
  /** How often somebody connected. */
  connections = 0;
  readonly introspection: TestIntrospection;
  /** Answers the requests for other paths. @default 404 */
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
      this.#answer(req, res);
    });
    this.#server.on('connection', () => this.connections++);
    this.introspection = new TestIntrospection(this);
  }

  /** Starts one; `close()` ends it. */
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

  /** A token that a verifier of this issuer accepts, unless the arguments spoil it. `undefined` leaves a claim out. */
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

  /** Signs claims as they are; `undefined` leaves one out. */
  sign(claims: Record<string, unknown>, header: Record<string, unknown>): Promise<string> {
    return this.#sign(new TextEncoder().encode(JSON.stringify(claims)), header);
  }

  async #sign(payload: Uint8Array, header: Record<string, unknown>, key = this.#key): Promise<string> {
    const all = { alg: key.algorithm, kid: key.kid, ...header };
    const written = JSON.parse(JSON.stringify(all)) as CompactJWSHeaderParameters;
    // What a header calls critical is the test's business; jose signs only what it is told to know.
    const crit = Object.fromEntries((Array.isArray(written.crit) ? written.crit : []).map((name) => [name, true]));
    return new CompactSign(payload).setProtectedHeader(written).sign(key.privateKey, { crit });
  }

  /** An opaque token that is active; `undefined` leaves a member of the answer out. */
  issueOpaque(claims: Record<string, unknown> = {}, token?: string): string {
    return this.introspection.issue(claims, token);
  }

  /** An opaque token is no longer active from now on. */
  revoke(token: string): void {
    this.introspection.revoke(token);
  }

  /** Signs with a new key from now on. The old one stays published unless `dropOld`. */
  async rotate({ dropOld = true } = {}): Promise<SigningKey> {
    this.#key = await makeSigningKey(this.#options.algorithm);
    this.published = dropOld ? [this.#key.publicJwk] : [...this.published, this.#key.publicJwk];
    return this.#key;
  }

  /** Answers one document, or all, with a fault until `heal`. */
  fail(document: IssuerDocument, fault: Fault): void {
    this.#faults.set(document, fault);
  }

  heal(): void {
    this.#faults.clear();
  }

  /** Refuses connections. */
  async goDown(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  /** Listens again where it did before. */
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

  #answer(req: IncomingMessage, res: ServerResponse): void {
    const document = this.#documentAt(req.url ?? '');
    if (document === undefined) {
      if (this.other === undefined) res.writeHead(404).end('not found');
      else this.other(req, res);
      return;
    }
    this.requests[document]++;
    if (document === 'introspection') {
      // Who hangs up while sending gets no answer.
      this.introspection.answer(req, res, this.#faults.get(document)).catch(() => res.destroy());
      return;
    }
    const content = document === 'jwks' ? { keys: this.published } : this.#metadata();
    const fault = this.#faults.get(document);
    if (fault !== undefined) {
      answerWithFault(fault, res, req.url ?? '', content);
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
