import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { fetchJson, type HttpOptions } from '../issuer/http.js';
import { Jwks } from '../issuer/jwks.js';
import { freshFor } from '../issuer/refreshing-resource.js';
import { ASYMMETRIC } from '../token/algorithms.js';
import { describeCauses } from '../util/causes.js';
import { isPlainObject } from '../util/is-plain-object.js';
import { failed, notNeeded, passed, unreached, warning } from './check.js';
import type { ReportedCheck } from './report.js';

type Members = Readonly<Record<string, unknown>>;

/** The JWKS and each of its keys. */
export async function checkKeys(
  jwksUri: string | undefined,
  raw: Members,
  http: HttpOptions,
): Promise<ReportedCheck[]> {
  if (jwksUri === undefined)
    return [failed('JWKS', raw.jwks_uri, addressFix(raw.jwks_uri)), unreached('cache headers')];
  try {
    const { json, maxAge } = await fetchJson(jwksUri, http);
    await Jwks.fetchedFrom(jwksUri, json, undefined);
    const keys: unknown[] = Array.isArray(json.keys) ? json.keys : [];
    return [...checkAll(jwksUri, keys), passed('cache headers', describeFreshness(maxAge))];
  } catch (error) {
    return [failed('JWKS', describeCauses(error), 'The keys cannot be read.', jwksUri), unreached('cache headers')];
  }
}

function addressFix(address: unknown): string {
  return address === undefined
    ? 'The metadata has no jwks_uri. Pass the address of the keys with the option jwksUri.'
    : 'The address of the keys is not allowed: it must be an https: URL, if the issuer is one. A private address needs the option allowPrivateAddresses.';
}

function describeFreshness(maxAge: number | undefined): string {
  const seconds = `keys are fresh for ${freshFor(maxAge)} seconds`;
  return maxAge === undefined ? `no Cache-Control: ${seconds}` : `max-age=${maxAge}: ${seconds}`;
}

function checkAll(jwksUri: string, keys: readonly unknown[]): ReportedCheck[] {
  const checks = keys.map((key, i) => checkKey(key, i));
  const usable = checks.filter(({ state }) => state === 'passed').length;
  const found = `${usable} of ${keys.length} keys can verify tokens`;
  const set =
    usable === 0
      ? failed('JWKS', found, 'The server publishes no key that can verify tokens. See the note of each key.', jwksUri)
      : passed('JWKS', `${jwksUri}: ${found}`);
  return [set, ...checks];
}

function checkKey(key: unknown, index: number): ReportedCheck {
  if (!isPlainObject(key)) return warning(`key without kid ${index + 1}`, typeof key, 'It is not a JSON object.');
  const name = typeof key.kid === 'string' ? `key ${key.kid}` : `key without kid ${index + 1}`;
  const found = describeKey(key);
  const other = otherPurpose(key);
  if (other !== undefined) return notNeeded(name, found, `Not used: ${other}.`);
  const problem = problemOf(key);
  return problem === undefined ? passed(name, found) : warning(name, found, `Not used: ${problem}.`);
}

/** Why a key is for something else than signatures; many servers publish encryption keys in the same set. */
function otherPurpose({ use, key_ops: operations, alg }: Members): string | undefined {
  if (use !== undefined && use !== 'sig') return `its use is ${JSON.stringify(use)}, not "sig"`;
  if (Array.isArray(operations) && !operations.includes('verify')) return 'its key_ops do not contain "verify"';
  const isKnown = alg === undefined || ASYMMETRIC.some((each) => each === alg);
  return isKnown ? undefined : `its alg ${JSON.stringify(alg)} is not a signature algorithm that is supported`;
}

function problemOf(key: Members): string | undefined {
  if (key.kty === 'oct') return 'it is symmetric, and everybody can read it';
  if ('d' in key) return 'it contains a private key, which everybody can read. Replace it now';
  const bits = rsaBits(key);
  if (bits !== undefined && bits < 2_048) return `it has ${bits} bits, and at least 2048 are required`;
  if (key.kty !== 'RSA' && !['P-256', 'P-384', 'P-521', 'Ed25519'].includes(String(key.crv))) {
    return `its type ${JSON.stringify(key.kty)} or curve ${JSON.stringify(key.crv)} is not supported`;
  }
  if ((Jwks.of({ keys: [key] })?.keys.length ?? 0) === 0) return 'its members are not those of a safe public key';
  return isImportable(key) ? undefined : 'its members do not form a public key';
}

function isImportable(key: Members): boolean {
  try {
    createPublicKey({ key: key as JsonWebKey, format: 'jwk' });
    return true;
  } catch {
    return false;
  }
}

/** Type, size, algorithm and use, without the key itself. */
function describeKey(key: Members): string {
  const { kty, crv, alg, use } = key;
  const bits = rsaBits(key);
  const size = bits === undefined ? text(crv) : `${bits} bits`;
  const type = [text(kty) || 'no kty', size].filter((part) => part !== '').join(' ');
  const rest = [alg === undefined ? 'no alg' : `alg ${text(alg)}`, use === undefined ? 'no use' : `use ${text(use)}`];
  return [type, ...rest].join(', ');
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 60) : '';
}

function rsaBits({ kty, n }: Members): number | undefined {
  if (kty !== 'RSA' || typeof n !== 'string') return undefined;
  const hex = Buffer.from(n, 'base64url').toString('hex').replace(/^0+/, '');
  return hex === '' ? 0 : BigInt(`0x${hex}`).toString(2).length;
}
