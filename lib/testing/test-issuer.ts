import { randomBytes, randomUUID } from 'node:crypto';
import { systemClock } from '../util/clock.js';
import { clockRule, flag, oneOf, readOptions, rejectUnknown, type Rules, text } from '../options.js';
import { accessTokenClaims } from './access-token-claims.js';
import {
  AuthorizationServer,
  type ReceivedRequest,
  type ServerRequest,
  type ServerResponse,
} from './authorization-server.js';
import { createFetch, wait } from './issuer-fetch.js';
import { LoopbackServer } from './loopback.js';
import type {
  InvalidTokenKind,
  IssueOptions,
  ProofOptions,
  TestIssuer,
  TestIssuerOptions,
} from './test-issuer-types.js';
import { sha256, TestKey } from './test-key.js';

const rules: Rules<TestIssuerOptions> = {
  listen: flag('Set it to false for an issuer without a socket.'),
  audience: text('the audience of the tokens', 'Leave it out for "https://api.example.com".'),
  algorithm: oneOf(['ES256', 'RS256', 'PS256', 'EdDSA'], 'Leave it out for "ES256".'),
  clock: clockRule,
};

const ISSUE_OPTIONS: readonly (keyof IssueOptions)[] = [
  ...(['clientId', 'subject', 'scopes', 'audience', 'expiresIn'] as const),
  ...(['claims', 'header', 'opaque', 'dpop'] as const),
];
const PROOF_OPTIONS: readonly (keyof ProofOptions)[] = ['method', 'url', 'token', 'nonce', 'claims'];

/** The URL of an issuer without a socket: it has no address (RFC 6761 §6.4), so that nothing else can respond. */
const URL_WITHOUT_SOCKET = 'https://issuer.invalid';

/**
 * Starts an authorization server for tests: metadata, JWKS and introspection.
 *
 * @throws ConfigurationError for an option that is unknown or wrong.
 */
export async function createTestIssuer(options: TestIssuerOptions = {}): Promise<TestIssuer> {
  const settings = readOptions<TestIssuerOptions>('createTestIssuer', options, rules);
  const { algorithm = 'ES256' } = settings;
  const [key, otherKey, dpopKey] = await Promise.all([
    TestKey.generate(algorithm),
    TestKey.generate(algorithm),
    TestKey.generate('ES256'),
  ]);
  const issuer = new RunningTestIssuer(settings, { key, otherKey, dpopKey });
  await issuer.comeBack();
  return issuer;
}

interface Keys {
  /** Signs valid tokens. */
  key: TestKey;
  /** Never published. */
  readonly otherKey: TestKey;
  readonly dpopKey: TestKey;
}

class RunningTestIssuer implements TestIssuer {
  readonly audience: string;
  readonly fetch: TestIssuer['fetch'];
  readonly #server: AuthorizationServer;
  readonly #loopback: LoopbackServer | undefined;
  readonly #keys: Keys;
  readonly #clock: () => number;
  #isDown = false;
  #delay = 0;

  constructor({ listen = true, audience, clock = systemClock }: TestIssuerOptions, keys: Keys) {
    this.audience = audience ?? 'https://api.example.com';
    this.#clock = clock;
    this.#keys = keys;
    this.#server = new AuthorizationServer(clock);
    this.#server.keys = [keys.key];
    const delay = (): number => this.#delay;
    const respond = (request: ServerRequest): ServerResponse => this.#server.respond(this.url, request);
    if (listen) {
      this.#loopback = new LoopbackServer(async (request) => {
        const response = respond(request);
        await wait(delay());
        return response;
      });
    }
    this.fetch = createFetch({ url: () => this.url, isDown: () => this.#isDown, delay, respond });
  }

  get url(): string {
    return this.#loopback?.url ?? URL_WITHOUT_SOCKET;
  }

  get jwksUri(): string {
    return `${this.url}/jwks`;
  }

  get introspectionEndpoint(): string {
    return `${this.url}/introspect`;
  }

  get clientId(): string {
    return this.#server.clientId;
  }

  get clientSecret(): string {
    return this.#server.clientSecret;
  }

  get requests(): ReceivedRequest[] {
    return this.#server.requests;
  }

  issue(options: IssueOptions = {}): string {
    rejectUnknown('issue', options, ISSUE_OPTIONS);
    const claims = this.#claims(options);
    const token = options.opaque === true ? randomToken() : this.#sign(this.#keys.key, options, claims);
    const type = options.dpop === true ? 'DPoP' : 'Bearer';
    this.#server.activate(token, { token_type: type, ...claims });
    return token;
  }

  issueInvalid(kind: InvalidTokenKind, options: IssueOptions = {}): string {
    rejectUnknown('issueInvalid', options, ISSUE_OPTIONS);
    const { key, otherKey } = this.#keys;
    const now = this.#now();
    const signed = (claims: object, header: object = {}, by = key): string => {
      const changed = { ...options, header: { ...options.header, ...header } };
      return this.#sign(by, changed, { ...this.#claims(options), ...claims });
    };
    switch (kind) {
      case 'expired':
        return signed({ iat: now - 7_200, exp: now - 3_600 });
      case 'notYetValid':
        return signed({ nbf: now + 3_600, exp: now + 7_200 });
      case 'wrongAudience':
        return signed({ aud: 'https://another-api.example.com' });
      case 'wrongIssuer':
        return signed({ iss: 'https://another-issuer.example.com' });
      case 'unknownKey':
        return signed({}, { kid: otherKey.kid }, otherKey);
      case 'wrongSignature':
        return signed({}, {}, otherKey);
      case 'algNone':
        return signed({}, { alg: 'none', kid: undefined }).replace(/[^.]*$/, '');
      case 'idToken': {
        const content = {
          ...this.#claims(options),
          scope: undefined,
          at_hash: sha256('access token').slice(0, 22),
          nonce: randomUUID(),
        };
        return this.#sign(key, { header: { typ: 'JWT', ...options.header } }, content);
      }
      case 'opaque':
        return randomToken();
      default:
        throw new TypeError(`issueInvalid: unknown kind ${JSON.stringify(kind)}`);
    }
  }

  proof(options: ProofOptions): string {
    rejectUnknown('proof', options, PROOF_OPTIONS);
    const { method = 'GET', url, token, nonce, claims } = options;
    const { dpopKey } = this.#keys;
    const { origin, pathname } = new URL(url);
    const iat = this.#now();
    const content = { jti: randomUUID(), htm: method, htu: `${origin}${pathname}`, iat, ath: sha256(token), nonce };
    return dpopKey.sign({ typ: 'dpop+jwt', jwk: dpopKey.publicJwk }, { ...content, ...claims });
  }

  async rotateKeys({ dropOld = false }: { dropOld?: boolean | undefined } = {}): Promise<void> {
    const key = await TestKey.generate(this.#keys.key.algorithm);
    this.#keys.key = key;
    this.#server.keys = dropOld ? [key] : [...this.#server.keys, key];
  }

  revoke(token: string): void {
    this.#server.revoke(token);
  }

  async goDown(): Promise<void> {
    this.#isDown = true;
    await this.#loopback?.down();
  }

  async comeBack(): Promise<void> {
    this.#isDown = false;
    this.#delay = 0;
    await this.#loopback?.up();
  }

  slow(seconds: number): void {
    this.#delay = seconds;
  }

  close(): Promise<void> {
    return this.goDown();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #now(): number {
    return Math.floor(this.#clock());
  }

  #claims(options: IssueOptions): Record<string, unknown> {
    const claims = options.dpop === true ? { cnf: { jkt: this.#keys.dpopKey.thumbprint } } : {};
    const defaults = { issuer: this.url, audience: this.audience, now: this.#now() };
    return accessTokenClaims({ ...options, claims: { ...claims, ...options.claims } }, defaults);
  }

  // The key of a forged token is another one, but its header names the key of the issuer.
  #sign(by: TestKey, { header }: IssueOptions, claims: object): string {
    return by.sign({ typ: 'at+jwt', kid: this.#keys.key.kid, ...header }, claims);
  }
}

function randomToken(): string {
  return randomBytes(32).toString('base64url');
}
