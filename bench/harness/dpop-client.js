/** A DPoP client: its key, its tokens and its proofs. */
import { createHash, randomBytes, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { AUDIENCE, KINDS, mintWithSecret } from './tokens.js';

export const PATH = '/orders';

/** The members of a thumbprint, in alphabetical order (RFC 7638 §3.2, RFC 8037). */
const THUMBPRINT = { ES256: ['crv', 'kty', 'x', 'y'], RS256: ['e', 'kty', 'n'], EdDSA: ['crv', 'kty', 'x'] };
const signAsync = promisify(sign);
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const sha256 = (text) => createHash('sha256').update(text).digest('base64url');

const thumbprintOf = (alg, jwk) => sha256(JSON.stringify(Object.fromEntries(THUMBPRINT[alg].map((m) => [m, jwk[m]]))));

/** @param {string} alg @param {Buffer} secret  The issuer's, for HS256. */
export function makeClient(alg, secret) {
  const { hash, options, make } = KINDS[alg];
  const { publicKey, privateKey } = make();
  const jwk = publicKey.export({ format: 'jwk' });
  const mint = mintWithSecret(secret);
  const bound = mint({ cnf: { jkt: thumbprintOf(alg, jwk) } });
  const ath = sha256(bound);
  const head = encode({ typ: 'dpop+jwt', alg, jwk });
  const prove = async () => {
    const jti = randomBytes(12).toString('base64url');
    const claims = { jti, htm: 'GET', htu: `${AUDIENCE}${PATH}`, iat: Math.floor(Date.now() / 1000), ath };
    const input = `${head}.${encode(claims)}`;
    const signature = await signAsync(hash, Buffer.from(input), { key: privateKey, ...options });
    return `${input}.${signature.toString('base64url')}`;
  };
  return {
    /** What a resource server may know. */
    setting: { alg, jwk, bound, unbound: mint(), secret: secret.toString('base64url') },
    prove: (count) => Promise.all(Array.from({ length: count }, prove)),
  };
}
