import { ConfigurationError } from './errors.js';

/**
 * Options of similar packages, and the option here. People who change to this package pass them first.
 */
const FOREIGN_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  issuer: ['issuerBaseURL', 'issuerBaseUrl', 'iss', 'issuerUrl', 'issuerURL', 'authority', 'domain', 'authServerUrl'],
  audience: ['aud', 'clientID', 'resource', 'audiences', 'expectedAudience'],
  jwksUri: ['jwksURI', 'jwksUrl', 'jwks_uri', 'jwksURL', 'keysUri', 'secretProvider'],
  publicKey: ['secretOrKey', 'secretOrPublicKey', 'key', 'pem', 'secretOrKeyProvider'],
  secret: ['secretOrKey', 'clientSecretKey', 'hmacSecret'],
  algorithms: ['algorithm', 'tokenSigningAlg', 'alg', 'allowedAlgorithms', 'validAlgorithms'],
  clockTolerance: ['leeway', 'clockSkew', 'clock_skew', 'gracePeriod'],
  maxTokenAge: ['maxAge', 'tokenMaxAge'],
  'keys: { cooldown }': ['jwksRequestsPerMinute', 'rateLimit', 'cooldownDuration', 'cooldownSeconds'],
  'keys: { refreshInterval }': ['cacheMaxAge', 'jwksCacheMaxAge', 'cacheMaxEntries', 'jwksCache'],
  'keys: { timeout }': ['timeoutDuration', 'requestTimeout', 'httpTimeout'],
  timeout: ['timeoutDuration', 'requestTimeout', 'httpTimeout'],
  optional: ['authRequired', 'credentialsRequired', 'required', 'anonymous'],
  property: ['requestProperty', 'userProperty', 'assignProperty'],
  tokenFrom: ['getToken', 'jwtFromRequest', 'fromExtractors', 'extractor'],
  "profile: 'rfc9068'": ['strict', 'tokenType', 'typ'],
  requiredClaims: ['validators', 'claimsToAssert', 'requiredClaim'],
  clientId: ['client_id', 'clientID'],
  clientSecret: ['client_secret'],
  introspectionEndpoint: ['introspectionUrl', 'introspectionURL', 'introspection_endpoint', 'introspectionUri'],
  onRejection: ['onError', 'onReject', 'onFailure', 'onUnauthorized', 'logger', 'log', 'handler'],
  fetch: ['requestAgent', 'agent', 'fetcher', 'httpAgent', 'requestHeaders'],
};

/** Options of similar packages that have no counterpart, and what to use. */
const WITHOUT_COUNTERPART: Readonly<Record<string, string>> = {
  ignoreExpiration: 'Remove it: expired tokens are always rejected.',
  isRevoked: 'Remove it, and use introspectionBearer or requireThat for revocation.',
  passReqToCallback: 'Remove it, and read getAuth(req) in the handler.',
  enableRequestOptions: 'Remove it.',
  discovery: 'Remove it: the keys are found through the issuer unless jwksUri, jwks, publicKey or secret is passed.',
  scope: 'Remove it, and mount requireScopes(...) on the routes.',
  scopes: 'Remove it, and mount requireScopes(...) on the routes.',
  requiredScopes: 'Remove it, and mount requireScopes(...) on the routes.',
};

function counterpart(name: string, known: readonly string[]): string | undefined {
  const entry = Object.entries(FOREIGN_OPTIONS).find(([ours, theirs]) => {
    const option = /^\w+/.exec(ours)?.[0] ?? ours;
    return theirs.includes(name) && known.includes(option);
  });
  return entry?.[0];
}

/** Options of another function. */
const OF_BEARER = [
  ...['optional', 'realm', 'property', 'errors', 'onRejection', 'tokenFrom', 'dpop', 'mtls', 'baseUrl'],
  ...['resourceMetadata', 'challengeScopes', 'scopeHierarchy', 'scopeNames'],
];
const OF_VERIFIERS = [
  ...['issuer', 'audience', 'jwksUri', 'jwks', 'publicKey', 'secret', 'algorithms', 'keys', 'cache', 'clockTolerance'],
  ...['clientId', 'clientSecret', 'introspectionEndpoint', 'requiredClaims', 'fetch', 'allowInsecureHttp'],
];

function ownerOf(name: string, known: readonly string[]): string | undefined {
  if (OF_BEARER.includes(name) && known.includes('clientIdClaims')) {
    return 'Pass it to the middleware: bearer(verifier, options), or jwtBearer(options).';
  }
  return OF_VERIFIERS.includes(name) && known.includes('onRejection')
    ? 'Pass it to the verifier, such as jwtVerifier(options).'
    : undefined;
}

/** The fix for an option without a rule: the one that was probably meant, if there is one. */
export function fixForUnknown(name: string, known: readonly string[]): string {
  const owner = ownerOf(name, known);
  if (owner !== undefined) return owner;
  const meant = counterpart(name, known) ?? nearest(name, known);
  const advice = Object.hasOwn(WITHOUT_COUNTERPART, name) ? WITHOUT_COUNTERPART[name] : undefined;
  return meant === undefined ? (advice ?? 'Remove it.') : `Did you mean ${meant}?`;
}

/** The known name that differs least from this one, if it is similar. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const limit = Math.max(2, Math.floor(name.length / 3));
  let best: string | undefined;
  let least = limit + 1;
  for (const candidate of known) {
    const steps = editDistance(name.slice(0, 60).toLowerCase(), candidate.toLowerCase());
    if (steps < least) [best, least] = [candidate, steps];
  }
  return best;
}

function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const current = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}

/**
 * Options in a further argument would be ignored. Other further arguments are: `list.map(jwtVerifier)` passes an index and
 * the list.
 */
export function rejectMoreOptions(where: string, others: readonly unknown[]): void {
  if (!others.some((other) => typeof other === 'object' && other !== null && !Array.isArray(other))) return;
  throw new ConfigurationError({
    option: where,
    expected: 'all options in one object',
    got: 'options in a further argument',
    fix: 'Move them into the object of options.',
  });
}
