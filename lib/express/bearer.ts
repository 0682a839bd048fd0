import { IncomingMessage, type ServerResponse } from 'node:http';
import type { Request } from 'express';
import { ConfigurationError, InvalidRequestError, MissingTokenError } from '../errors.js';
import {
  callable,
  describe,
  flag,
  oneOf,
  readOptions,
  rejectUnknown,
  type Rules,
  splitOptions,
  text,
} from '../options.js';
import { checkBinding } from '../proof/policy.js';
import { type AccessToken, makeAuth } from '../token/access-token.js';
import { assertToken68, type Credentials, readAuthorization } from '../token/credentials.js';
import { introspectionVerifier } from '../verify/introspection.js';
import { type IntrospectionVerifierOptions, introspectionVerifierRules } from '../verify/introspection-options.js';
import { jwtVerifier } from '../verify/jwt.js';
import { type JwtVerifierOptions, jwtVerifierRules } from '../verify/jwt-options.js';
import type { TokenVerifier } from '../verify/token-verifier.js';
import { authenticationOf, setAuthentication } from './auth.js';
import type { Middleware, Next } from './middleware.js';
import { refuse, type RespondSettings, settle } from './respond.js';

/** What every bearer middleware takes, whatever its verifier. */
export interface BearerOptions {
  /** Admit requests without credentials, with no `req.auth`. A bad token is refused all the same. @default false */
  optional?: boolean;
  /** Named in challenges (RFC 9110 §11.5). Printable ASCII. @default none */
  realm?: string;
  /** The property of the request that holds the `Auth`. @default 'auth' */
  property?: string;
  /**
   * Who answers a refusal. `'respond'`: the middleware, with a JSON body. `'problem'`: the middleware, with
   * `application/problem+json` (RFC 9457). `'next'`: the application's error handler, with the challenge already set on
   * the response and on `err.headers`. @default 'respond'
   */
  errors?: 'respond' | 'problem' | 'next';
  /**
   * A further place where the token may be, such as a cookie; gives the bare token, or nothing where there is none. A
   * request that has one here and in its `Authorization` header is refused (RFC 6750 §2). Tokens in URLs end up in logs
   * and are nothing that this package reads on its own. @default the `Authorization` header alone
   */
  tokenFrom?: (req: Request) => string | null | undefined;
}

/** What `jwtBearer` takes: the options of its verifier and its own. */
export interface JwtBearerOptions extends JwtVerifierOptions, BearerOptions {}

/** What Node, Express and its customary middlewares call their own on a request; writing it fails or breaks them. */
/** What `introspectionBearer` takes: the options of its verifier and its own. */
export interface IntrospectionBearerOptions extends IntrospectionVerifierOptions, BearerOptions {}

const TAKEN = new Set(
  [
    'aborted client complete headers httpVersion httpVersionMajor httpVersionMinor method rawHeaders rawTrailers socket',
    'statusCode statusMessage trailers upgrade url',
    'accepts acceptsCharset acceptsCharsets acceptsEncoding acceptsEncodings acceptsLanguage acceptsLanguages app baseUrl',
    'body cookies fresh get header host hostname ip ips is next originalUrl param params path protocol query range res',
    'route secret secure session sessionID sessionStore signedCookies stale subdomains xhr',
  ].flatMap((names) => names.split(' ')),
);

const bearerRules: Rules<BearerOptions> = {
  optional: flag('Set it to true to admit requests without credentials.'),
  realm: text('printable ASCII', 'Use letters, digits and spaces.', (value) => /^[\x20-\x7e]*$/.test(value)),
  property: text(
    'an identifier that requests do not have',
    'Leave it out for "auth".',
    (value) => /^[A-Za-z_$][\w$]*$/.test(value) && !TAKEN.has(value) && !(value in IncomingMessage.prototype),
  ),
  errors: oneOf(['respond', 'problem', 'next'], 'Leave it out for "respond".'),
  tokenFrom: callable('a function of the request that gives the token', 'Leave it out for the Authorization header.'),
};

/**
 * Protects what is mounted behind it with the tokens of one issuer: `bearer(jwtVerifier(options), options)`.
 *
 * @throws ConfigurationError for an option that is missing, unknown or wrong.
 */
export function jwtBearer(options: JwtBearerOptions): Middleware {
  return bearerFor('jwtBearer', jwtVerifier, jwtVerifierRules, options);
}

/**
 * The sibling for opaque tokens, and for JWTs that must be revocable at once: `bearer(introspectionVerifier(options),
 * options)`.
 *
 * @throws ConfigurationError for an option that is missing, unknown or wrong.
 */
export function introspectionBearer(options: IntrospectionBearerOptions): Middleware {
  return bearerFor('introspectionBearer', introspectionVerifier, introspectionVerifierRules, options);
}

function bearerFor<O extends object>(
  name: string,
  make: (options: O) => TokenVerifier,
  verifierRules: Rules<O>,
  options: O & BearerOptions,
): Middleware {
  const names = Object.keys(bearerRules);
  rejectUnknown(name, options, [...Object.keys(verifierRules), ...names]);
  const [own, verifierOptions] = splitOptions(name, options, names);
  // Each half is checked by the function that it is for.
  return bearer(make(verifierOptions as O), own);
}

/**
 * Protects what is mounted behind it with any verifier: credentials → verify → proof of possession → `req.auth`. A
 * refused request never reaches a handler; HEAD and OPTIONS are no exception.
 *
 * @throws ConfigurationError for an option that is unknown or wrong, or a verifier without `verify`.
 */
export function bearer(verifier: TokenVerifier, options: BearerOptions = {}): Middleware {
  const {
    optional = false,
    realm,
    property = 'auth',
    errors = 'respond',
    tokenFrom,
  } = readOptions<BearerOptions>('bearer', options, bearerRules);
  assertVerifier(verifier);
  const settings: RespondSettings = { errors, realm };

  const admit = (req: IncomingMessage, credentials: Credentials, accessToken: AccessToken): void => {
    assertAccessToken(accessToken);
    checkBinding(accessToken);
    const auth = makeAuth(accessToken, credentials.token, credentials.scheme);
    setAuthentication(req, { auth, settings });
    (req as unknown as Record<string, unknown>)[property] = auth;
  };

  return function bearerMiddleware(req: IncomingMessage, res: ServerResponse, next: Next): void {
    const refused = (error: unknown): void => {
      refuse(error, res, next, settings);
    };
    let credentials: Credentials | undefined;
    let remembered: AccessToken | undefined;
    try {
      credentials = readCredentials(req, tokenFrom);
      if (credentials === undefined && !optional) throw new MissingTokenError();
      if (credentials !== undefined) {
        remembered = verifier.recall?.(credentials.token);
        if (remembered !== undefined) admit(req, credentials, remembered);
      }
    } catch (error) {
      refused(error);
      return;
    }
    if (credentials === undefined) {
      if (authenticationOf(req) === undefined) setAuthentication(req, { auth: undefined, settings });
      next();
    } else if (remembered !== undefined) {
      next();
    } else {
      const presented = credentials;
      settle(
        verify(verifier, presented.token),
        (accessToken) => {
          admit(req, presented, accessToken);
          next();
        },
        refused,
      );
    }
  };
}

// Async, so that a verifier that throws instead of rejecting is no special case.
async function verify(verifier: TokenVerifier, token: string): Promise<AccessToken> {
  return verifier.verify(token);
}

function readCredentials(req: IncomingMessage, tokenFrom: BearerOptions['tokenFrom']): Credentials | undefined {
  const fromHeader = readAuthorization(req);
  // Every request that Express hands to a middleware is an Express request.
  const elsewhere: unknown = tokenFrom?.(req as Request);
  if (elsewhere === undefined || elsewhere === null) return fromHeader;
  if (fromHeader !== undefined) throw new InvalidRequestError('several_credentials');
  // A repeated query parameter or form field arrives as an array.
  if (Array.isArray(elsewhere)) throw new InvalidRequestError('several_credentials');
  if (elsewhere instanceof Promise) {
    // Nobody waits for it, so its rejection would end the process.
    elsewhere.catch(() => undefined);
    throw invalid('bearer: tokenFrom', 'a string or nothing, at once', elsewhere);
  }
  // A number or an object out of a parsed body is what the caller sent.
  if (typeof elsewhere !== 'string') throw new InvalidRequestError('malformed_credentials');
  return { scheme: 'Bearer', token: assertToken68(elsewhere) };
}

function assertVerifier(verifier: unknown): asserts verifier is TokenVerifier {
  if (typeof verifier === 'object' && verifier !== null && 'verify' in verifier) {
    if (typeof verifier.verify === 'function') return;
  }
  throw invalid('bearer: verifier', 'an object with the function verify(token)', verifier);
}

// A verifier of the user's own is believed about the caller, but not about its types.
function assertAccessToken(value: unknown): asserts value is AccessToken {
  if (typeof value === 'object' && value !== null && 'claims' in value && 'scopes' in value) {
    if (typeof value.claims === 'object' && value.claims !== null && Array.isArray(value.scopes)) return;
  }
  throw invalid('bearer: what the verifier gives', 'an AccessToken', value);
}

function invalid(option: string, expected: string, got: unknown): ConfigurationError {
  const fix = 'See the type of that name for its shape.';
  return new ConfigurationError({ option, expected, got: describe(got), fix }, { reason: 'verifier_invalid' });
}
