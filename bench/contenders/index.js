/**
 * The contenders. This list imports none of them, so that the parent process stays small and every contender is loaded
 * in its own process.
 *
 * @typedef {object} Contender
 * @property {string} name
 * @property {string} file  Exports `make(setting)`, which returns `{ middleware, clientOf }`.
 * @property {string[]} packages  The packages that an application installs for it, in addition to Express.
 * @property {string[]} algorithms  The benchmarked ones that it supports.
 * @property {'bare' | 'yardstick' | 'floor' | 'ours' | 'peer'} role
 * @property {'jwt' | 'opaque'} tokens  The tokens that it accepts.
 *
 * @typedef {object} Setting
 * @property {string} issuer
 * @property {string} jwksUri
 * @property {string} audience
 * @property {string} alg
 * @property {{ keys: object[] }} jwks
 * @property {string[]} tokens  The ones that the yardstick knows.
 * @property {{ endpoint: string, clientId: string, clientSecret: string }} introspection
 */
const ALL = ['RS256', 'ES256', 'EdDSA'];

const define = (name, role, packages, algorithms = ALL, tokens = 'jwt') => ({
  name,
  role,
  packages,
  algorithms,
  tokens,
  file: new URL(`./${name}.js`, import.meta.url).href,
});

/** @type {Contender[]} */
export const CONTENDERS = [
  define('bare', 'bare', []),
  define('floor', 'floor', []),
  define('express-resource-server', 'ours', ['express-resource-server']),
  define('express-oauth2-jwt-bearer', 'peer', ['express-oauth2-jwt-bearer']),
  define('express-jwt', 'peer', ['express-jwt', 'jwks-rsa'], ['RS256', 'ES256']),
  define('passport-jwt', 'peer', ['passport', 'passport-jwt', 'jwks-rsa'], ['RS256', 'ES256']),
  define('aws-jwt-verify', 'peer', ['aws-jwt-verify']),
  define('fast-jwt', 'peer', ['fast-jwt', 'get-jwks']),
  define('fast-jwt-cached', 'peer', ['fast-jwt', 'get-jwks']),
  define('oauth4webapi', 'peer', ['oauth4webapi']),
  define('jose', 'peer', ['jose']),
];

/** Contender for tokens seen before: the least that a known token can cost. */
export const YARDSTICK = define('yardstick', 'yardstick', []);

/** The contenders for opaque tokens. */
export const OPAQUE_CONTENDERS = [
  ...CONTENDERS.filter(({ role }) => role === 'bare' || role === 'ours'),
  define('opaque-cached', 'ours', ['express-resource-server'], ALL, 'opaque'),
  define('opaque-naive', 'peer', [], ALL, 'opaque'),
];
