import { createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { promisify } from 'node:util';

export const CLIENT = 'orders-service';
export const AUDIENCE = 'https://api.example.com';
/** The issuer of tokens that are signed with a shared secret; no server has this address. */
export const ISSUER = 'https://auth.example.com';

const signAsync = promisify(sign);
/** How the keys of an algorithm are created, and the options that make their signatures those of JOSE. */
export const KINDS = {
  RS256: { hash: 'sha256', options: {}, make: () => generateKeyPairSync('rsa', { modulusLength: 2048 }) },
  ES256: {
    hash: 'sha256',
    options: { dsaEncoding: 'ieee-p1363' },
    make: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  },
  EdDSA: { hash: null, options: {}, make: () => generateKeyPairSync('ed25519') },
};
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** One key per algorithm: `jwk` is for the issuer's JWKS. */
export function makeKeys() {
  return Object.entries(KINDS).map(([alg, { make }]) => {
    const { publicKey, privateKey } = make();
    const kid = randomBytes(8).toString('hex');
    return { alg, kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), alg, kid, use: 'sig' } };
  });
}

function claimsFor(issuer) {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: issuer,
    aud: AUDIENCE,
    sub: CLIENT,
    client_id: CLIENT,
    iat: now,
    exp: now + 3600,
    jti: randomBytes(12).toString('hex'),
    scope: 'orders:read orders:write',
  };
}

/** Creates the tokens of one issuer and algorithm, in the shape of RFC 9068, all different. */
export class Mint {
  constructor(issuer, { alg, kid, privateKey }) {
    this.issuer = issuer;
    this.alg = alg;
    this.kid = kid;
    this.key = { key: privateKey, ...KINDS[alg].options };
  }

  unsigned(overrides = {}, header = {}) {
    const head = encode({ alg: this.alg, typ: 'at+jwt', kid: this.kid, ...header });
    return `${head}.${encode({ ...claimsFor(this.issuer), ...overrides })}`;
  }

  async valid(overrides = {}) {
    const input = this.unsigned(overrides);
    const signature = await signAsync(KINDS[this.alg].hash, Buffer.from(input), this.key);
    return `${input}.${signature.toString('base64url')}`;
  }

  /** In portions, so that the thread pool is busy and memory use stays low. */
  async many(count, overrides = {}) {
    const tokens = [];
    while (tokens.length < count) {
      const portion = Math.min(256, count - tokens.length);
      tokens.push(...(await Promise.all(Array.from({ length: portion }, () => this.valid(overrides)))));
    }
    return tokens;
  }

  /** Well formed, but with the signature of another token: its verification is as expensive as that of a valid one. */
  async forged(count, header = {}) {
    const signature = (await this.valid()).split('.')[2];
    return Array.from({ length: count }, () => `${this.unsigned({}, header)}.${signature}`);
  }
}

/** Creates opaque tokens, and registers their introspection responses at the issuer. */
export class OpaqueMint {
  /** @param {string} issuer @param {(infos: [token: string, info: object][]) => Promise<void>} register */
  constructor(issuer, register) {
    this.issuer = issuer;
    this.register = register;
  }

  async valid(overrides = {}) {
    const token = unregistered();
    await this.register([[token, this.#info(overrides)]]);
    return token;
  }

  async many(count, length = OPAQUE_LENGTH) {
    const tokens = Array.from({ length: count }, () => unregistered(length));
    await this.register(tokens.map((token) => [token, this.#info()]));
    return tokens;
  }

  async forged(count) {
    return Array.from({ length: count }, () => unregistered());
  }

  #info(overrides = {}) {
    const claims = { ...claimsFor(this.issuer), ...overrides };
    return { active: claims.exp > Date.now() / 1000, token_type: 'Bearer', ...claims };
  }
}

/**
 * Claims that make the payload of a token about this large: groups, as in the tokens of companies.
 *
 * @param {string} issuer
 * @param {number} bytes
 */
export function claimsOfSize(issuer, bytes) {
  const sizeOf = (claims) => Buffer.byteLength(JSON.stringify(claims));
  const missing = bytes - sizeOf({ ...claimsFor(issuer), groups: [] });
  // 16 random bytes are 32 digits, two quotation marks and a comma.
  return {
    groups: Array.from({ length: Math.max(0, Math.round(missing / 35)) }, () => randomBytes(16).toString('hex')),
  };
}

/** 256 bits in base64url. */
const OPAQUE_LENGTH = 43;

function unregistered(length = OPAQUE_LENGTH) {
  return randomBytes(length).toString('base64url').slice(0, length);
}

/** Tokens of `ISSUER` that are signed with a shared secret, which are cheap to create. */
export function mintWithSecret(secret) {
  const head = encode({ alg: 'HS256', typ: 'at+jwt' });
  return (overrides = {}) => {
    const input = `${head}.${encode({ ...claimsFor(ISSUER), ...overrides })}`;
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  };
}
