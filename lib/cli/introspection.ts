import { randomUUID } from 'node:crypto';
import { ClientAuthenticator } from '../issuer/client-authentication.js';
import { fetchJson, type HttpOptions } from '../issuer/http.js';
import { HttpError } from '../issuer/http-error.js';
import { upstreamProblem } from '../issuer/upstream-problems.js';
import { describeCauses } from '../util/causes.js';
import { systemClock } from '../util/clock.js';
import { failed, notNeeded, passed, unreached } from './check.js';
import type { ReportedCheck } from './report.js';

export interface Credentials {
  readonly clientId: string;
  readonly clientSecret: string;
}

export type SecretMethod = 'client_secret_basic' | 'client_secret_post';

const ENDPOINT = 'introspection endpoint';
const CREDENTIALS = 'credentials';

/** How a client with a secret authenticates at the endpoint: the default of the package, unless only the other is announced. */
export function secretMethod(raw: Readonly<Record<string, unknown>>): SecretMethod {
  const methods: unknown =
    raw.introspection_endpoint_auth_methods_supported ?? raw.token_endpoint_auth_methods_supported;
  const isOnlyPost =
    Array.isArray(methods) && methods.includes('client_secret_post') && !methods.includes('client_secret_basic');
  return isOnlyPost ? 'client_secret_post' : 'client_secret_basic';
}

/** Whether there is an endpoint, and whether it accepts our credentials. It is called only with credentials. */
export async function checkIntrospection(
  endpoint: string | undefined,
  raw: Readonly<Record<string, unknown>>,
  credentials: Credentials | undefined,
  http: HttpOptions,
): Promise<ReportedCheck[]> {
  if (endpoint === undefined) return missing(raw.introspection_endpoint, credentials !== undefined);
  if (credentials === undefined) return [passed(ENDPOINT, endpoint)];
  const method = secretMethod(raw);
  const clientAuthenticator = new ClientAuthenticator({
    ...credentials,
    clientAuthentication: method,
    audience: undefined,
    timeout: http.timeout,
    clock: systemClock,
  });
  try {
    const { headers, form } = await clientAuthenticator.authenticate(endpoint);
    const { json } = await fetchJson(endpoint, http, undefined, {
      method: 'POST',
      headers: { Accept: 'application/json', 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
      // No server has issued this token.
      body: new URLSearchParams({ token: randomUUID(), token_type_hint: 'access_token', ...form }).toString(),
    });
    if (typeof json.active !== 'boolean') {
      const fix = 'The response is not an introspection response (RFC 7662): the member active is missing.';
      return [failed(ENDPOINT, endpoint, fix, 'active: true or false'), unreached(CREDENTIALS)];
    }
    return accepted(endpoint, method);
  } catch (error) {
    if (error instanceof HttpError && error.code === 'unsupported_token_type') return accepted(endpoint, method);
    return failure(endpoint, error, method);
  }
}

function missing(announced: unknown, isNeeded: boolean): ReportedCheck[] {
  if (announced !== undefined) {
    const fix =
      'The address is not allowed: it must be an https: URL, if the issuer is one. A private address needs the option allowPrivateAddresses.';
    const address = [failed(ENDPOINT, announced, fix)];
    return isNeeded ? [...address, unreached(CREDENTIALS)] : [notNeeded(ENDPOINT, announced, fix)];
  }
  if (!isNeeded) return [notNeeded(ENDPOINT, 'not announced', 'Tokens that are not JWTs cannot be verified.')];
  const fix = 'The metadata has no introspection_endpoint. Pass its address with the option introspectionEndpoint.';
  return [failed(ENDPOINT, undefined, fix), unreached(CREDENTIALS)];
}

function accepted(endpoint: string, method: SecretMethod): ReportedCheck[] {
  const hint =
    'Some servers respond with active: false to a client that may not introspect a token. ' +
    'If all tokens are inactive, allow this client to introspect them.';
  return [passed(ENDPOINT, endpoint), passed(CREDENTIALS, method, hint)];
}

function failure(endpoint: string, error: unknown, method: SecretMethod): ReportedCheck[] {
  const status = error instanceof HttpError ? error.status : undefined;
  if (status === 400 || status === 401 || status === 403) {
    const fix = 'Check the client id and the secret, and whether this client may call the introspection endpoint.';
    return [passed(ENDPOINT, endpoint), failed(CREDENTIALS, describeCauses(error), fix, method)];
  }
  const fix =
    status === 404
      ? 'There is nothing at the address that the metadata names. Pass the right one with introspectionEndpoint.'
      : upstreamProblem(error, 'introspection').fix;
  return [failed(ENDPOINT, describeCauses(error), fix, endpoint), unreached(CREDENTIALS)];
}
