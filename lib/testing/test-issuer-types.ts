import type { ReceivedRequest } from './authorization-server.js';
import type { TestAlgorithm } from './test-key.js';

/** Options of `createTestIssuer`. */
export interface TestIssuerOptions {
  /** Opens a port on 127.0.0.1. With `false` there is no socket: pass `fetch: issuer.fetch` to the API. @default true */
  listen?: boolean | undefined;
  /** The `aud` of the tokens. @default 'https://api.example.com' */
  audience?: string | undefined;
  /** The algorithm that signs the tokens. @default 'ES256' */
  algorithm?: TestAlgorithm | undefined;
  /** The current time in seconds since the epoch. @default the system clock */
  clock?: (() => number) | undefined;
}

/** What a token contains. */
export interface IssueOptions {
  /** `client_id`. @default 'test-client' */
  clientId?: string | undefined;
  /** `sub`. @default the client id, as with the client-credentials grant */
  subject?: string | undefined;
  /** `scope`. @default none */
  scopes?: readonly string[] | undefined;
  /** `aud`. @default the audience of the issuer */
  audience?: string | readonly string[] | undefined;
  /** The lifetime. Seconds. @default 300 */
  expiresIn?: number | undefined;
  /** Claims to add or replace; `undefined` removes a claim. */
  claims?: Readonly<Record<string, unknown>> | undefined;
  /** Members of the JOSE header to add or replace; `undefined` removes one. */
  header?: Readonly<Record<string, unknown>> | undefined;
  /** Issues an opaque token, which the API must introspect. @default false */
  opaque?: boolean | undefined;
  /** Binds the token to the DPoP key of the issuer's test client: each request needs a `proof`. @default false */
  dpop?: boolean | undefined;
}

/** A reason why `issueInvalid` makes a token invalid. `'opaque'`: an opaque token that the issuer did not issue. */
export type InvalidTokenKind =
  | 'expired'
  | 'notYetValid'
  | 'wrongAudience'
  | 'wrongIssuer'
  | 'unknownKey'
  | 'wrongSignature'
  | 'algNone'
  | 'idToken'
  | 'opaque';

/** The request that a DPoP proof is for. */
export interface ProofOptions {
  /** @default 'GET' */
  method?: string | undefined;
  /** The complete URL of the request; its query is removed. */
  url: string;
  /** The access token, from `issue({ dpop: true })`. */
  token: string;
  /** The nonce from the header `DPoP-Nonce` of a response. @default none */
  nonce?: string | undefined;
  /** Claims of the proof to add or replace; `undefined` removes a claim. */
  claims?: Readonly<Record<string, unknown>> | undefined;
}

/** An authorization server for tests. Nothing is mocked: the API really fetches, verifies and introspects. */
export interface TestIssuer extends AsyncDisposable {
  /** The option `issuer` of the API. */
  readonly url: string;
  /** The option `audience` of the API. */
  readonly audience: string;
  /** The options `clientId` and `clientSecret` of the API, for introspection. */
  readonly clientId: string;
  readonly clientSecret: string;
  readonly jwksUri: string;
  readonly introspectionEndpoint: string;
  /** The option `fetch` of the API: reaches this issuer without a socket. */
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>;
  /** The requests that the issuer received, the oldest first. */
  readonly requests: ReceivedRequest[];
  /** Issues a valid token. @throws ConfigurationError for an unknown option. */
  issue(options?: IssueOptions): string;
  /** Issues a token that the API must reject; the options are those of `issue`. */
  issueInvalid(kind: InvalidTokenKind, options?: IssueOptions): string;
  /** Makes a DPoP proof (RFC 9449) for one request with a token from `issue({ dpop: true })`. */
  proof(options: ProofOptions): string;
  /** Signs with a new key from now on. The old key stays published unless `dropOld` is true. */
  rotateKeys(options?: { dropOld?: boolean | undefined }): Promise<void>;
  /** Makes a token inactive for introspection, JWTs included. A JWT that is verified by its signature stays valid. */
  revoke(token: string): void;
  /** Closes all connections and accepts no new ones, until `comeBack`. */
  goDown(): Promise<void>;
  /** Listens again, on the same port and without delays. */
  comeBack(): Promise<void>;
  /** Delays each response, until `comeBack` or `slow(0)`. */
  slow(seconds: number): void;
  /** Stops the issuer; `await using` calls it. */
  close(): Promise<void>;
}
