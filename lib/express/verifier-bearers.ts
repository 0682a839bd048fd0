import { assertNotRequest, pickOptions, rejectUnknown } from '../options.js';
import { rejectMoreOptions } from '../unknown-options.js';
import { createIntrospectionVerifier } from '../verify/introspection.js';
import { type IntrospectionVerifierOptions, introspectionVerifierRules } from '../verify/introspection-options.js';
import { createJwtVerifier } from '../verify/jwt.js';
import { type JwtVerifierOptions, jwtVerifierRules } from '../verify/jwt-options.js';
import type { TokenVerifier } from '../verify/token-verifier.js';
import { createBearer } from './bearer.js';
import { type BearerOptions, bearerRules } from './bearer-options.js';
import type { Middleware } from './middleware.js';

/** Options of `jwtBearer`: those of its verifier and those of `bearer`. */
export interface JwtBearerOptions extends JwtVerifierOptions, BearerOptions {}

/** Options of `introspectionBearer`: those of its verifier and those of `bearer`. */
export interface IntrospectionBearerOptions extends IntrospectionVerifierOptions, BearerOptions {
  /** `'fapi2'`: accepts only sender-constrained tokens, and only in the `Authorization` header. @default none */
  profile?: 'fapi2' | undefined;
}

// `none`, here and below, makes `app.use(jwtBearer)` a compile error: Express's types accept any function of one argument.

/**
 * Protects the handlers behind it with JWT access tokens of one issuer: `bearer(jwtVerifier(options), options)`.
 *
 * @throws ConfigurationError for an option that is missing, unknown or wrong.
 */
export function jwtBearer(options: JwtBearerOptions, ...none: undefined[]): Middleware {
  assertNotRequest('jwtBearer', options);
  rejectMoreOptions('jwtBearer', none);
  return createJwtBearer(options, 'jwtBearer');
}

/** The same for another function of the package; mistakes in the options name that function. */
export function createJwtBearer(options: JwtBearerOptions, where: string): Middleware {
  const { forVerifier, forBearer } = splitOptions(where, options, Object.keys(jwtVerifierRules));
  return createOwnBearer(where, createJwtVerifier(forVerifier as unknown as JwtVerifierOptions, where), forBearer);
}

/**
 * Protects the handlers behind it with opaque tokens, or with JWTs whose revocation takes effect immediately:
 * `bearer(introspectionVerifier(options), options)`.
 *
 * @throws ConfigurationError for an option that is missing, unknown or wrong.
 */
export function introspectionBearer(options: IntrospectionBearerOptions, ...none: undefined[]): Middleware {
  const where = 'introspectionBearer';
  assertNotRequest(where, options);
  rejectMoreOptions(where, none);
  const { forVerifier, forBearer } = splitOptions(where, options, Object.keys(introspectionVerifierRules));
  const verifier = createIntrospectionVerifier(forVerifier as unknown as IntrospectionVerifierOptions, where);
  return createOwnBearer(where, verifier, forBearer);
}

/** A verifier that was created for a middleware with a mistake in its options must not call the authorization server. */
function createOwnBearer(where: string, verifier: Required<TokenVerifier>, options: BearerOptions): Middleware {
  try {
    return createBearer(where, verifier, options);
  } catch (error) {
    void verifier.close();
    throw error;
  }
}

// The verifier and `bearer` each check their own options.
function splitOptions(where: string, options: object, verifierNames: readonly string[]): SplitOptions {
  const names = Object.keys(bearerRules);
  rejectUnknown(where, options, [...verifierNames, ...names]);
  return { forVerifier: pickOptions(where, options, verifierNames), forBearer: pickOptions(where, options, names) };
}

interface SplitOptions {
  readonly forVerifier: Record<string, unknown>;
  readonly forBearer: Record<string, unknown>;
}
