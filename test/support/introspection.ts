import type { Express } from 'express';
import {
  introspectionBearer,
  type IntrospectionBearerOptions,
  introspectionVerifier,
  type IntrospectionVerifier,
  type IntrospectionVerifierOptions,
} from '../../lib/index.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import { serve } from './helpers.js';
import { watchedFetch } from './time.js';

export const SECRET = 'correct horse battery staple';

/** Options that an introspection verifier of this issuer needs. */
export function optionsFor(
  issuer: TestIssuer,
  options: Partial<IntrospectionVerifierOptions> = {},
): IntrospectionVerifierOptions {
  const needsSecret = options.clientAuthentication === undefined || typeof options.clientAuthentication === 'string';
  const needsNone = !needsSecret || options.clientAuthentication === 'tls_client_auth';
  return {
    issuer: issuer.url,
    clientId: 'api',
    audience: issuer.audience,
    fetch: watchedFetch,
    ...(needsNone ? {} : { clientSecret: SECRET }),
    ...options,
  };
}

export function verifierFor(
  issuer: TestIssuer,
  options: Partial<IntrospectionVerifierOptions> = {},
): IntrospectionVerifier {
  return introspectionVerifier(optionsFor(issuer, options));
}

/** An API for the opaque tokens of this issuer. */
export function apiFor(issuer: TestIssuer, options: Partial<IntrospectionBearerOptions> = {}): Express {
  const { optional, realm, property, errors, tokenFrom, ...others } = options;
  const own = Object.fromEntries(
    Object.entries({ optional, realm, property, errors, tokenFrom }).filter(([, value]) => value !== undefined),
  );
  return serve(introspectionBearer({ ...optionsFor(issuer, others), ...own }));
}

/** A clock that changes only when the test changes it. */
export function movableClock(now = 1_800_000_000): { now: number; clock: () => number } {
  const time = { now, clock: () => time.now };
  return time;
}
