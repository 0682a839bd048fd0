/**
 * The contenders. This list imports none of them, so that the parent process stays small and every contender is loaded
 * in its own process.
 *
 * @typedef {object} Contender
 * @property {string} name
 * @property {string} file  Exports `make(setting)`, which returns `{ middleware, clientOf }`.
 * @property {string[]} packages  The packages that an application installs for it, in addition to Express.
 * @property {string[]} algorithms  The benchmarked ones that it supports.
 * @property {'bare' | 'yardstick' | 'ours' | 'peer'} role
 * @property {'jwt' | 'opaque'} tokens  The tokens that it accepts.
 *
 * @typedef {object} Setting
 * @property {string} issuer
 * @property {string[]} issuers  The same, or several.
 * @property {string} jwksUri
 * @property {string} audience
 * @property {string} alg
 * @property {{ keys: object[] }} jwks
 * @property {string[]} tokens  The ones that `map-lookup` knows.
 * @property {{ endpoint: string, clientId: string, clientSecret: string }} introspection
 */
const ALL = ['RS256', 'ES256', 'EdDSA'];
const SELF = ['express-resource-server'];

const define = (name, role, packages, { algorithms = ALL, tokens = 'jwt', extension = 'js' } = {}) => ({
  name,
  role,
  packages,
  algorithms,
  tokens,
  file: new URL(`./${name}.${extension}`, import.meta.url).href,
});

export const BARE = define('bare', 'bare', []);

/** The yardstick of cached tokens, and of rejections without work. */
export const MAP_LOOKUP = define('map-lookup', 'yardstick', []);
/** The yardstick of new tokens, and of wrong signatures. */
export const CRYPTO_VERIFY = define('crypto-verify', 'yardstick', []);

export const OURS = define('express-resource-server', 'ours', SELF);
/** With `cache: false`. */
export const UNCACHED = define('express-resource-server-uncached', 'ours', SELF);
export const COMMON_JS = define('express-resource-server-cjs', 'ours', SELF, { extension: 'cjs' });
export const TRUSTED_ISSUERS = define('trusted-issuers', 'ours', SELF);
export const OPAQUE_CACHED = define('opaque-cached', 'ours', SELF, { tokens: 'opaque' });
/** Without a package: it introspects the token of each request. */
export const OPAQUE_NAIVE = define('opaque-naive', 'peer', [], { tokens: 'opaque' });

const withoutEdDsa = { algorithms: ['RS256', 'ES256'] };

/** @type {Contender[]} */
export const PEERS = [
  define('express-oauth2-jwt-bearer', 'peer', ['express-oauth2-jwt-bearer']),
  define('express-jwt', 'peer', ['express-jwt', 'jwks-rsa'], withoutEdDsa),
  define('passport-jwt', 'peer', ['passport', 'passport-jwt', 'jwks-rsa'], withoutEdDsa),
  define('aws-jwt-verify', 'peer', ['aws-jwt-verify']),
  define('fast-jwt', 'peer', ['fast-jwt']),
  define('fast-jwt-cached', 'peer', ['fast-jwt']),
  define('fast-jwt-jwks', 'peer', ['fast-jwt', 'get-jwks']),
  define('oauth4webapi', 'peer', ['oauth4webapi']),
  define('jose', 'peer', ['jose']),
];
