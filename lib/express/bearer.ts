import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request } from 'express';
import { publish } from '../diagnostics.js';
import { ConfigurationError, makeFailedCheck, InvalidRequestError, MissingTokenError } from '../errors.js';
import { assertNotRequest, describeToken, readOptions } from '../options.js';
import type { MtlsOptions } from '../proof/mtls-options.js';
import type { ProofMode } from '../proof/mode.js';
import { makeSenderConstraint, type ProofResult, type SenderConstraint } from '../proof/policy.js';
import { type AccessToken, type Auth, isAccessToken, makeAuth } from '../token/access-token.js';
import { assertToken, type Credentials, readAuthorization, severalCredentials } from '../token/credentials.js';
import { checkProfileOptions } from '../token/profile.js';
import { systemClock } from '../util/clock.js';
import { isPromise } from '../util/is-promise.js';
import { rejectMoreOptions } from '../unknown-options.js';
import type { TokenVerifier } from '../verify/token-verifier.js';
import { isVerifier } from '../verify/wrap-verifier.js';
import { authenticateAs, authenticationOf, setAuthentication } from './auth.js';
import { describeBearer, issuersOf } from './bearer-description.js';
import { type BearerOptions, bearerRules, readChallengeOptions } from './bearer-options.js';
import type { Middleware, Next } from './middleware.js';
import { RequestContext } from './request-context.js';
import { requestUri } from './request-uri.js';
import { continueAfter, respondWith, type RespondSettings } from './respond.js';

/**
 * Protects the handlers behind it with any verifier: credentials → verify → proof of possession → `req.auth`. A rejected
 * request never reaches a handler; this includes HEAD and OPTIONS.
 *
 * @throws ConfigurationError for an option that is unknown or wrong, or a verifier without `verify`.
 */
export function bearer(verifier: TokenVerifier, options?: BearerOptions): Middleware;
export function bearer(verifier: TokenVerifier, options: BearerOptions = {}, ...others: unknown[]): Middleware {
  assertNotRequest('bearer', verifier);
  rejectMoreOptions('bearer', others);
  return createBearer('bearer', verifier, options);
}

/** The same for another function of the package; mistakes in the options name that function. */
export function createBearer(where: string, verifier: TokenVerifier, given: BearerOptions): Middleware {
  const options = readOptions<BearerOptions>(where, given, bearerRules);
  assertVerifier(where, verifier);
  const { optional = false, property = 'auth', errors = 'respond', tokenFrom, baseUrl } = options;
  const profile = options.profile ?? verifier.profile;
  const clock = verifier.clock ?? systemClock;
  checkProfileOptions(where, profile, { tokenFrom });
  const constraint = makeSenderConstraint({
    where,
    dpop: options.dpop,
    mtls: options.mtls as ProofMode | MtlsOptions | undefined,
    profile,
    clock,
    uriOf: (req) => requestUri(req, baseUrl),
  });
  const { schemes, algs } = constraint;
  const challenge = { schemes, algs, ...readChallengeOptions(options) };
  const { onRejection } = options;
  const { issuer } = verifier;
  const settings: RespondSettings = { errors, clock, property, onRejection, issuer, ...challenge };
  const supportsDpop = schemes.includes('DPoP');

  const accept = (
    req: IncomingMessage,
    res: ServerResponse,
    { token, scheme }: Credentials,
    accessToken: AccessToken,
    proof: ProofResult | undefined,
  ): void => {
    if (proof?.nonce !== undefined) offerNonce(res, proof.nonce);
    const auth = makeAuth(accessToken, token, scheme);
    authenticateAs(req, auth, settings);
    publishAccepted(req, auth);
  };

  const verifyAndAccept = async (
    req: IncomingMessage,
    res: ServerResponse,
    credentials: Credentials,
    result: AccessToken | PromiseLike<AccessToken>,
  ): Promise<void> => {
    const accessToken = await result;
    const proof = prove(constraint, req, credentials, accessToken);
    accept(req, res, credentials, accessToken, proof === undefined ? undefined : await proof);
  };

  /** Undefined if the request is accepted synchronously. */
  const authenticate = (
    req: IncomingMessage,
    res: ServerResponse,
    credentials: Credentials,
  ): Promise<void> | undefined => {
    const result = verifier.verify(credentials.token, new RequestContext(req));
    if (isPromise(result)) return verifyAndAccept(req, res, credentials, result);
    const proof = prove(constraint, req, credentials, result);
    if (proof === undefined) {
      accept(req, res, credentials, result, undefined);
      return undefined;
    }
    return proof.then((proven) => {
      accept(req, res, credentials, result, proven);
    });
  };

  const reject = (
    error: unknown,
    req: IncomingMessage,
    res: ServerResponse,
    next: Next,
    presented: Credentials | undefined,
  ): void => {
    clearAuthentication(req, settings);
    respondWith(error, req, res, next, settings, presented);
  };

  // Separate, so that a request that is accepted synchronously needs no closures.
  const continueLater = (
    pending: Promise<void>,
    req: IncomingMessage,
    res: ServerResponse,
    next: Next,
    presented: Credentials | undefined,
  ): void => {
    const accepted = (): void => {
      next();
    };
    const failed = (error: unknown): void => {
      reject(error, req, res, next, presented);
    };
    continueAfter(pending, accepted, failed, next);
  };

  const bearerMiddleware = (req: IncomingMessage, res: ServerResponse, next: Next): void => {
    let presented: Credentials | undefined;
    let pending: Promise<void> | undefined;
    try {
      const credentials = credentialsOf(req, tokenFrom, verifier.allowsAnyTokenCharacters === true);
      // RFC 6750 §3.1: an unsupported scheme gets the response for no credentials, but `optional` does not accept it.
      if (credentials?.scheme === 'DPoP' && !supportsDpop) {
        const cause = makeFailedCheck('scheme', schemes, 'DPoP');
        throw new MissingTokenError({ cause });
      }
      presented = credentials;
      if (credentials !== undefined) pending = authenticate(req, res, credentials);
      else if (optional) clearAuthentication(req, settings);
      else throw noCredentials();
    } catch (error) {
      reject(error, req, res, next, presented);
      return;
    }
    if (pending === undefined) next();
    else continueLater(pending, req, res, next, presented);
  };
  return describeBearer(bearerMiddleware, {
    isOptional: optional,
    authorizationServers: () => issuersOf(verifier),
    dpopAlgorithms: algs,
    isDpopRequired: !schemes.includes('Bearer'),
    supportsMtls: constraint.supportsMtls,
    scopeNames: options.scopeNames ?? {},
  });
}

/** The error for a request without credentials. */
function noCredentials(): MissingTokenError {
  const cause = makeFailedCheck('Authorization', 'Bearer <token>', undefined);
  return new MissingTokenError({ cause });
}

function publishAccepted(request: IncomingMessage, { issuer, clientId, format, scheme }: Auth): void {
  publish('request.accepted', () => ({ request, issuer, clientId, format, scheme }));
}

// Another middleware may have authenticated the request before. This one does not confirm it, so no gate may see it.
function clearAuthentication(req: IncomingMessage, settings: RespondSettings): void {
  const before = authenticationOf(req);
  setAuthentication({ request: req, auth: undefined, settings });
  for (const property of [settings.property, before?.settings.property]) {
    if (property !== undefined && Reflect.get(req, property) !== undefined) Reflect.set(req, property, undefined);
  }
}

function prove(
  constraint: SenderConstraint,
  req: IncomingMessage,
  credentials: Credentials,
  accessToken: AccessToken,
): Promise<ProofResult> | undefined {
  assertAccessToken(accessToken);
  return constraint.prove(req, credentials, accessToken);
}

// RFC 9449 §8.2: a cached response would offer an old nonce.
function offerNonce(res: ServerResponse, nonce: string): void {
  if (res.headersSent) return;
  res.setHeader('DPoP-Nonce', nonce);
  res.setHeader('Cache-Control', 'no-store');
}

function credentialsOf(
  req: IncomingMessage,
  tokenFrom: BearerOptions['tokenFrom'],
  allowsAnyCharacters: boolean,
): Credentials | undefined {
  const fromHeader = readAuthorization(req, allowsAnyCharacters);
  // Every request that Express passes to a middleware is an Express request.
  const elsewhere: unknown = tokenFrom?.(req as Request);
  if (elsewhere === undefined || elsewhere === null || elsewhere === '') return fromHeader;
  // A repeated query parameter or form field arrives as an array.
  if (fromHeader !== undefined || Array.isArray(elsewhere)) throw severalCredentials();
  if (elsewhere instanceof Promise) {
    // No code awaits it, so its rejection would end the process.
    elsewhere.catch(() => undefined);
    const fix = 'Return the token itself. A middleware before this one can wait for it.';
    throw invalid('bearer: tokenFrom', 'a function that returns a string or nothing, synchronously', elsewhere, fix);
  }
  // A number or an object in a parsed body comes from the caller.
  if (typeof elsewhere !== 'string') {
    const cause = makeFailedCheck('tokenFrom', 'a string', typeof elsewhere);
    throw new InvalidRequestError('malformed_credentials', { cause });
  }
  return { scheme: 'Bearer', token: assertToken(elsewhere, allowsAnyCharacters) };
}

function assertVerifier(where: string, verifier: unknown): asserts verifier is TokenVerifier {
  if (isVerifier(verifier)) return;
  const fix =
    verifier instanceof Promise
      ? 'Await it: it is a promise.'
      : typeof verifier === 'function'
        ? 'Pass a verifier, such as jwtVerifier({ … }). jwtBearer({ … }) is a complete middleware: mount it as it is.'
        : undefined;
  throw invalid(`${where}: verifier`, 'an object with the function verify(token)', verifier, fix);
}

// A verifier of the application is trusted about the caller, but its types are checked.
function assertAccessToken(value: unknown): asserts value is AccessToken {
  if (isAccessToken(value)) return;
  throw invalid('bearer: result of the verifier', 'an AccessToken', value, 'Build it with createAccessToken(claims).');
}

function invalid(option: string, expected: string, got: unknown, fix?: string): ConfigurationError {
  const problem = { option, expected, got: describeToken(got), fix: fix ?? 'See the type of that name for its shape.' };
  return new ConfigurationError(problem, { reason: 'verifier_invalid' });
}
