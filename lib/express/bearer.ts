import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request } from 'express';
import type { Scheme } from '../challenge.js';
import { ConfigurationError, InvalidRequestError, MissingTokenError } from '../errors.js';
import { describe, pickOptions, readOptions, rejectUnknown, type Rules } from '../options.js';
import type { MtlsOptions } from '../proof/mtls-options.js';
import type { ProofMode } from '../proof/mode.js';
import { makeSenderConstraint, type ProofResult } from '../proof/policy.js';
import { type AccessToken, makeAuth } from '../token/access-token.js';
import { assertToken68, type Credentials, readAuthorization } from '../token/credentials.js';
import { introspectionVerifier } from '../verify/introspection.js';
import { type IntrospectionVerifierOptions, introspectionVerifierRules } from '../verify/introspection-options.js';
import { jwtVerifier } from '../verify/jwt.js';
import { type JwtVerifierOptions, jwtVerifierRules } from '../verify/jwt-options.js';
import type { TokenVerifier } from '../verify/token-verifier.js';
import { authenticationOf, setAuthentication } from './auth.js';
import { type BearerOptions, bearerRules } from './bearer-options.js';
import type { Middleware, Next } from './middleware.js';
import { requestUri } from './request-uri.js';
import { respondWith, type RespondSettings, continueAfter } from './respond.js';
import { isPlainObject } from '../util/is-plain-object.js';

/** What `jwtBearer` takes: the options of its verifier and its own. */
export interface JwtBearerOptions extends JwtVerifierOptions, BearerOptions {}

/** What `introspectionBearer` takes: the options of its verifier and its own. */
export interface IntrospectionBearerOptions extends IntrospectionVerifierOptions, BearerOptions {
  /** `'fapi2'`: bound tokens alone, from the `Authorization` header alone. @default none */
  profile?: 'fapi2';
}

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
  const verifierNames = Object.keys(verifierRules);
  rejectUnknown(name, options, [...verifierNames, ...names]);
  // Each half is checked by the function that it is for.
  const verifier = make(pickOptions(name, options, verifierNames) as O);
  return bearer(verifier, pickOptions(name, options, names));
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
    dpop,
    mtls,
    baseUrl,
    profile,
  } = readOptions<BearerOptions>('bearer', options, bearerRules);
  assertVerifier(verifier);
  if (profile === 'fapi2' && tokenFrom !== undefined) throw headerAlone();
  const constraint = makeSenderConstraint({
    dpop,
    mtls: mtls as ProofMode | MtlsOptions | undefined,
    profile,
    uriOf: (req) => requestUri(req, baseUrl),
  });
  const takesDpop = constraint.schemes.includes('DPoP');
  const settings: RespondSettings = { errors, realm, schemes: constraint.schemes, algs: constraint.algs };

  const prove = (
    req: IncomingMessage,
    credentials: Credentials,
    accessToken: AccessToken,
  ): Promise<ProofResult> | undefined => {
    assertAccessToken(accessToken);
    return constraint.prove(req, credentials, accessToken);
  };

  const admit = (
    req: IncomingMessage,
    res: ServerResponse,
    { token, scheme }: Credentials,
    accessToken: AccessToken,
    proven: ProofResult | undefined,
  ): void => {
    if (proven?.nonce !== undefined) offerNonce(res, proven.nonce);
    const auth = makeAuth(accessToken, token, scheme);
    setAuthentication(req, { auth, settings });
    (req as unknown as Record<string, unknown>)[property] = auth;
  };

  const verifyAndAdmit = async (req: IncomingMessage, res: ServerResponse, credentials: Credentials): Promise<void> => {
    const accessToken = await verifier.verify(credentials.token);
    admit(req, res, credentials, accessToken, await prove(req, credentials, accessToken));
  };

  return function bearerMiddleware(req: IncomingMessage, res: ServerResponse, next: Next): void {
    let scheme: Scheme | undefined;
    const refused = (error: unknown): void => {
      respondWith(error, res, next, settings, scheme);
    };
    let admission: Promise<void> | undefined;
    try {
      const credentials = readCredentials(req, tokenFrom);
      // RFC 6750 §3.1: an unsupported way to authenticate is answered like none; but it is there, and not optional.
      if (credentials?.scheme === 'DPoP' && !takesDpop) throw new MissingTokenError();
      scheme = credentials?.scheme;
      if (credentials === undefined) {
        if (!optional) throw new MissingTokenError();
        if (authenticationOf(req) === undefined) setAuthentication(req, { auth: undefined, settings });
      } else {
        const remembered = verifier.recall?.(credentials.token);
        if (remembered === undefined) {
          admission = verifyAndAdmit(req, res, credentials);
        } else {
          const proving = prove(req, credentials, remembered);
          if (proving === undefined) admit(req, res, credentials, remembered, undefined);
          else
            admission = proving.then((proven) => {
              admit(req, res, credentials, remembered, proven);
            });
        }
      }
    } catch (error) {
      refused(error);
      return;
    }
    // What is remembered and owes no proof goes on in the same tick.
    if (admission === undefined) next();
    else
      continueAfter(
        admission,
        () => {
          next();
        },
        refused,
        next,
      );
  };
}

// RFC 9449 §8.2: an answer that a cache gave to somebody later would carry a nonce of long ago.
function offerNonce(res: ServerResponse, nonce: string): void {
  if (res.headersSent) return;
  res.setHeader('DPoP-Nonce', nonce);
  res.setHeader('Cache-Control', 'no-store');
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
  if (isPlainObject(verifier) && typeof verifier.verify === 'function') return;
  throw invalid('bearer: verifier', 'an object with the function verify(token)', verifier);
}

// A verifier of the user's own is believed about the caller, but not about its types.
function assertAccessToken(value: unknown): asserts value is AccessToken {
  if (isPlainObject(value) && isPlainObject(value.claims) && Array.isArray(value.scopes)) return;
  throw invalid('bearer: what the verifier gives', 'an AccessToken', value);
}

function headerAlone(): ConfigurationError {
  return new ConfigurationError({
    option: 'bearer: tokenFrom',
    expected: 'none, because the profile fapi2 takes tokens from the Authorization header alone',
    got: 'a function',
    fix: 'Remove it.',
  });
}

function invalid(option: string, expected: string, got: unknown): ConfigurationError {
  const fix = 'See the type of that name for its shape.';
  return new ConfigurationError({ option, expected, got: describe(got), fix }, { reason: 'verifier_invalid' });
}
