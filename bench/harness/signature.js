import { createPublicKey, verify } from 'node:crypto';
import { KINDS } from './tokens.js';

/**
 * The least that a signature check can cost: one `crypto.verify`, with a key without options, and so with ECDSA
 * signatures in DER. That is the fastest way in each version of Node.js.
 *
 * @param {string} alg
 * @param {object} jwk
 * @returns {(jwt: string) => boolean}
 */
export function signatureCheck(alg, jwk) {
  const { hash } = KINDS[alg];
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  return (jwt) => {
    const end = jwt.lastIndexOf('.');
    const signature = Buffer.from(jwt.slice(end + 1), 'base64url');
    return verify(hash, Buffer.from(jwt.slice(0, end)), key, alg === 'ES256' ? derOf(signature) : signature);
  };
}

/** An ECDSA signature of JOSE, `r || s`, in DER. The numbers are shorter than 64 bytes each. */
function derOf(signature) {
  const half = signature.length / 2;
  const [r, s] = [integerOf(signature.subarray(0, half)), integerOf(signature.subarray(half))];
  return Buffer.concat([Buffer.from([0x30, r.length + s.length]), r, s]);
}

function integerOf(bytes) {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const digits = bytes.subarray(start);
  // A first byte from 0x80 on would make the number negative.
  const padding = digits[0] >= 0x80 ? [0] : [];
  return Buffer.concat([Buffer.from([0x02, digits.length + padding.length, ...padding]), digits]);
}
