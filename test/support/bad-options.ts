/** Invalid values by option: of `jwtVerifier`, of `bearer`, and of the groups `keys` and `cache`. */

const ANY = [null, Number.NaN, Symbol('s'), 1n];
const NO_TEXT = [...ANY, '', 1, true, {}, [], ['x'], () => 'x'];
const NO_FLAG = [...ANY, 'true', 1, 0, {}, []];
const NO_FUNCTION = [...ANY, 'f', 1, true, {}, []];
const NO_TEXTS = [...ANY, '', 'x', [], [''], ['x', 1], [['x']], [null], {}, true, () => ['x'], new Set(['x'])];
const NO_NUMBER = [...ANY, '5', [5], {}, true, Number.POSITIVE_INFINITY, new Date(), () => 5];

export const BAD: Record<string, readonly unknown[]> = {
  issuer: [...NO_TEXT, new URL('https://auth.example.com')],
  audience: [...ANY, '', 1, true, {}, [], [''], ['x', 1], () => 'x'],
  jwksUri: [...NO_TEXT, 'keys', '/keys', 'http://auth.example.com/keys', 'ftp://auth.example.com/keys', 'data:,{}'],
  jwks: [...ANY, '{}', [], {}, { keys: [] }, { keys: {} }, { keys: [{}] }, { keys: [{ kty: 'oct', k: 'AAAA' }] }, 'x'],
  secret: [...ANY, '', 's'.repeat(31), new Uint8Array(31), {}, [], 1, true, Array<number>(32).fill(1)],
  algorithms: [...NO_TEXTS, ['none'], ['RS256', 'none'], ['rs256'], ['ES256K'], ['HS256', 'x'], 'RS256'],
  profile: [...ANY, '', 'RFC9068', 'fapi', 1, true, {}, ['rfc9068']],
  clockTolerance: [...NO_NUMBER, -1, -0.1, 301],
  maxTokenAge: [...NO_NUMBER, 0, 0.9, -1, 31_536_001],
  requiredClaims: NO_TEXTS,
  maxTokenBytes: [...NO_NUMBER, 0, 255, 256.5, 1_048_577],
  keys: [...ANY, 'x', 1, [], true],
  cache: [...ANY, true, 'x', 1, []],
  keySnapshot: [...ANY, 'x', 1, true, [], {}, { get: () => 1, set: () => 1, add: () => 1 }],
  clientIdClaims: NO_TEXTS,
  scopeClaims: NO_TEXTS,
  fetch: NO_FUNCTION,
  allowInsecureHttp: NO_FLAG,
  allowPrivateAddresses: NO_FLAG,
  clock: [...NO_FUNCTION, 1_800_000_000, new Date()],
};

export const BAD_BEARER: Record<string, readonly unknown[]> = {
  optional: NO_FLAG,
  realm: [...NO_TEXT, 'caf\u00e9', 'a\r\nX-Evil: 1', 'a\u0000', '\u2603', 'a\tb', '\u0085'],
  property: [
    ...[...NO_TEXT, '__proto__', 'constructor', 'toString', 'headers', 'body', 'query', 'params', 'url', 'method'],
    ...['on', 'socket', 'res', 'next', 'app', 'route', 'cookies', 'session', 'rawHeaders', 'a-b', '1a', 'a b', 'a.b'],
    ...[
      'get',
      'header',
      'is',
      'ip',
      'ips',
      'path',
      'protocol',
      'secure',
      'host',
      'hostname',
      'xhr',
      'accepts',
      'range',
    ],
    ...['fresh', 'stale', 'subdomains', 'httpVersion', 'complete', 'trailers', 'statusCode', 'aborted', 'upgrade'],
  ],
  errors: [...ANY, '', 'Respond', 'throw', true, {}, ['next']],
  tokenFrom: NO_FUNCTION,
};

export const BAD_KEYS: Record<string, readonly unknown[]> = {
  refreshInterval: [...NO_NUMBER, 0, -1, 86_401],
  cooldown: [...NO_NUMBER, 0, 3_601],
  maxStale: [...NO_NUMBER, -1, 604_801],
  timeout: [...NO_NUMBER, 0, 0.09, 61],
  maxBytes: [...NO_NUMBER, 1_023, 1_024.5, 16_777_217],
};

export const BAD_CACHE: Record<string, readonly unknown[]> = {
  maxEntries: [...NO_NUMBER, 0, 1.5, 1_000_001],
  maxAge: [...NO_NUMBER, 0, 0.5, 86_401],
};
