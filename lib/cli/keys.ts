import { fetchJson, type HttpOptions } from '../issuer/http.js';
import { Jwks, MAX_RSA } from '../issuer/jwks.js';
import { freshFor } from '../issuer/refreshing-resource.js';
import { presentMembers } from '../token/jwk.js';
import { defectOf, otherPurposeOf, rsaBitsOf } from '../token/jwk-problems.js';
import { upstreamProblem } from '../issuer/upstream-problems.js';
import { describeCauses } from '../util/causes.js';
import { isPlainObject } from '../util/is-plain-object.js';
import { failed, notNeeded, passed, unreached, warning } from './check.js';
import { withoutQuery } from '../util/url.js';
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
    await Jwks.fetchedFrom(withoutQuery(jwksUri), json, undefined);
    const keys: unknown[] = Array.isArray(json.keys) ? json.keys : [];
    return [...checkAll(jwksUri, keys), passed('cache headers', describeFreshness(maxAge))];
  } catch (error) {
    const { fix } = upstreamProblem(error, 'keys');
    return [failed('JWKS', describeCauses(error), fix, jwksUri), unreached('cache headers')];
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

function checkKey(given: unknown, index: number): ReportedCheck {
  if (!isPlainObject(given)) return warning(`key without kid ${index + 1}`, typeof given, 'It is not a JSON object.');
  const key = presentMembers(given);
  const name = typeof key.kid === 'string' ? `key ${text(key.kid)}` : `key without kid ${index + 1}`;
  const found = describeKey(key);
  const other = otherPurposeOf(key);
  if (other !== undefined) return notNeeded(name, found, `Not used: ${other}.`);
  const problem = defectOf(key, MAX_RSA);
  return problem === undefined ? passed(name, found) : warning(name, found, `Not used: ${problem}.`);
}

/** Type, size, algorithm and use, without the key itself. */
function describeKey(key: Members): string {
  const { kty, crv, alg, use } = key;
  const bits = rsaBitsOf(key);
  const size = bits === undefined ? text(crv) : `${bits} bits`;
  const type = [text(kty) || 'no kty', size].filter((part) => part !== '').join(' ');
  const rest = [alg === undefined ? 'no alg' : `alg ${text(alg)}`, use === undefined ? 'no use' : `use ${text(use)}`];
  return [type, ...rest].join(', ');
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 60) : '';
}
