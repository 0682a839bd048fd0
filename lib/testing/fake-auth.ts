import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { ConfigurationError } from '../errors.js';
import { authenticateAs } from '../express/auth.js';
import { type BearerOptions, bearerRules, readChallengeOptions } from '../express/bearer-options.js';
import type { Middleware } from '../express/middleware.js';
import type { RespondSettings } from '../express/respond.js';
import { isScope } from '../token/scope.js';
import { describe, flag, readOptions, type Rule, type Rules, seconds, text } from '../options.js';
import { makeAuth } from '../token/access-token.js';
import { systemClock } from '../util/clock.js';
import { isPlainObject } from '../util/is-plain-object.js';
import { createAccessToken } from '../verify/own-verifiers.js';
import { accessTokenClaims } from './access-token-claims.js';
import type { IssueOptions } from './test-issuer-types.js';

/** Options of `fakeAuth`: what the token would contain, and how the gates respond. */
export interface FakeAuthOptions
  extends
    Pick<IssueOptions, 'clientId' | 'subject' | 'scopes' | 'audience' | 'expiresIn' | 'claims'>,
    Pick<BearerOptions, 'property' | 'errors' | 'realm' | 'scopeHierarchy'> {
  /** `auth.issuer`. @default 'https://issuer.invalid' */
  issuer?: string | undefined;
  /** `auth.isMachine`. @default what the claims say: `true` if the subject is the client */
  isMachine?: boolean | undefined;
  /** `auth.isUser`. @default what the claims say; another subject than the client is no evidence of a person */
  isUser?: boolean | undefined;
}

const scopesRule: Rule<string[]> = {
  expected: 'an array of scopes, each a string without spaces and quotes',
  fix: 'Pass one scope per item, such as ["orders:read"].',
  parse: (value) =>
    stringsOf(value)?.filter(isScope).length === stringsOf(value)?.length ? stringsOf(value) : undefined,
};

const audienceRule: Rule<string | string[]> = {
  expected: 'a string or an array of strings',
  fix: 'Leave it out for "https://api.example.com".',
  parse: (value) => (typeof value === 'string' ? value : stringsOf(value)),
};

const claimsRule: Rule<Record<string, unknown>> = {
  expected: 'an object of claims',
  fix: 'Pass the claims in wire spelling, such as { tenant: "a" }.',
  parse: (value) => (isPlainObject(value) ? { ...value } : undefined),
};

const rules: Rules<FakeAuthOptions> = {
  clientId: text('a client id', 'Leave it out for "test-client".'),
  subject: text('a subject', 'Leave it out for the client id.'),
  scopes: scopesRule,
  audience: audienceRule,
  expiresIn: seconds(0, 31_536_000, 'Leave it out for 300.'),
  claims: claimsRule,
  issuer: text('an issuer', 'Leave it out for "https://issuer.invalid".'),
  isMachine: flag('Leave it out for what the claims say.'),
  isUser: flag('Leave it out for what the claims say.'),
  property: bearerRules.property,
  errors: bearerRules.errors,
  realm: bearerRules.realm,
  scopeHierarchy: bearerRules.scopeHierarchy,
};

/**
 * Authenticates every request as given, for unit tests of handlers that are not about tokens: `getAuth`,
 * `getOptionalAuth`, `req.auth` and the gates work as behind `jwtBearer`. It reads no credentials and verifies nothing.
 *
 * @throws ConfigurationError unless `NODE_ENV` is `test`, so that it never protects a deployed API; and for an option that
 * is unknown or wrong.
 */
export function fakeAuth(options: FakeAuthOptions = {}, ..._none: undefined[]): Middleware {
  const where = 'fakeAuth';
  assertTest(where);
  const given = readOptions<FakeAuthOptions>(where, options, rules);
  const { issuer = 'https://issuer.invalid', errors = 'respond', property = 'auth', isMachine, isUser } = given;
  const clock = systemClock;
  const settings: RespondSettings = {
    errors,
    clock,
    property,
    onRejection: undefined,
    issuer,
    schemes: ['Bearer'],
    algs: [],
    ...readChallengeOptions(given),
  };
  const mapping = {
    isMachine: isMachine === undefined ? undefined : () => isMachine,
    isUser: isUser === undefined ? undefined : () => isUser,
  };
  const header = { alg: 'ES256', typ: 'at+jwt' };
  const create = (): ReturnType<typeof createAccessToken> => {
    const claims = accessTokenClaims(given, { issuer, audience: 'https://api.example.com', now: Math.floor(clock()) });
    // Without the members that are undefined, as in JSON.
    const present = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
    return createAccessToken(present, { issuer, format: 'jwt', header, ...mapping });
  };
  // A wrong claim fails here, not in a request.
  create();
  const token = `fake-${randomUUID()}`;
  return function fakeAuthMiddleware(req: IncomingMessage, _res, next) {
    authenticateAs(req, makeAuth(create(), token, 'Bearer'), settings);
    next();
  };
}

function assertTest(where: string): void {
  const { NODE_ENV: environment } = process.env;
  if (environment === 'test') return;
  throw new ConfigurationError({
    option: where,
    expected: 'the environment variable NODE_ENV to be "test", because it authenticates every request',
    got: environment === undefined ? 'no NODE_ENV' : describe(environment),
    fix: 'Use jwtBearer outside tests. In tests, set NODE_ENV=test: Jest and Vitest do, Mocha and node:test do not.',
  });
}

function stringsOf(value: unknown): string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const items: unknown[] = value;
  const strings = items.filter((item) => typeof item === 'string');
  return strings.length === items.length ? strings : undefined;
}
