import { InsufficientScopeError, makeFailedCheck } from '../errors.js';
import {
  assertNotRequest,
  firstMistake,
  invalidOption,
  parseValue,
  readOptions,
  type Rule,
  type Rules,
  text,
  texts,
} from '../options.js';
import { clientIdDoubt, clientIdText } from '../token/client-id.js';
import { issuerDoubt } from '../util/doubt.js';
import { settingMistake, issuerMistake } from '../util/setting.js';
import { gate } from './gate.js';
import type { Middleware } from './middleware.js';

/** A client of one issuer. Another issuer may issue tokens with the same client id. */
export interface IssuerClient {
  /** The issuer, exactly as in `auth.issuer`. */
  readonly issuer: string;
  readonly clientId: string;
}

const ISSUER_FIX = 'Pass the issuer exactly as in its tokens.';
const clientRules: Rules<IssuerClient> = {
  issuer: {
    ...text('the issuer of the client', ISSUER_FIX, (issuer) => issuerMistake(issuer) === undefined),
    hint: issuerMistake,
    doubt: issuerDoubt,
  },
  clientId: clientIdText('a client id', 'Pass the id of the client at this issuer.'),
};
const clientsRule: Rule<AllowedClient[]> = {
  expected: 'at least one client: a client id, or { issuer, clientId }',
  fix: 'Pass clients as separate arguments.',
  hint: (value) =>
    Array.isArray(value) ? 'Pass clients as separate arguments: requireClient(...clients).' : settingMistake(value),
  doubt: (value) => firstMistake(value, clientIdDoubt),
  parse: (value) => (Array.isArray(value) && value.length > 0 ? value.map(parseClient) : undefined),
};
const issuersRule: Rule<string[]> = {
  ...texts(
    'at least one issuer',
    'Pass issuers as separate arguments.',
    (issuer) => issuerMistake(issuer) === undefined,
  ),
  hint: (value) => {
    const issuers: unknown[] = Array.isArray(value) ? value : [];
    return issuers.some(Array.isArray)
      ? 'Pass issuers as separate arguments: requireIssuer(...issuers).'
      : firstMistake(issuers, issuerMistake);
  },
  doubt: (value) => firstMistake(value, issuerDoubt),
};

/** A client id without an issuer is a client of any issuer that the middleware before the gate trusts. */
type AllowedClient = Pick<IssuerClient, 'clientId'> & { readonly issuer?: string };

/**
 * Requires one of these clients. A client id without an issuer allows the client of every issuer that is trusted; if
 * there are several issuers, pass `{ issuer, clientId }`.
 *
 * @throws ConfigurationError without a client.
 */
export function requireClient(...clients: (string | IssuerClient)[]): Middleware {
  assertNotRequest('requireClient', clients[0]);
  const allowed = parseValue('requireClient', clientsRule, clients);
  return gate(
    'requireClient',
    ({ clientId, issuer }) =>
      clientId !== undefined &&
      allowed.some((client) => client.clientId === clientId && (client.issuer ?? issuer) === issuer),
    ({ clientId, issuer }) =>
      new InsufficientScopeError('client_refused', [], {
        cause: makeFailedCheck('client', allowed, { issuer, clientId }),
      }),
  );
}

/**
 * Requires a token of one of these issuers, compared exactly with `auth.issuer`.
 *
 * @throws ConfigurationError without an issuer.
 */
export function requireIssuer(...issuers: string[]): Middleware {
  assertNotRequest('requireIssuer', issuers[0]);
  const allowed = new Set(parseValue('requireIssuer', issuersRule, issuers));
  return gate(
    'requireIssuer',
    ({ issuer }) => allowed.has(issuer),
    ({ issuer }) =>
      new InsufficientScopeError('issuer_refused', [], {
        cause: makeFailedCheck('issuer', [...allowed], issuer),
      }),
  );
}

function parseClient(value: unknown): AllowedClient {
  if (typeof value === 'string' && value !== '' && settingMistake(value) === undefined) return { clientId: value };
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidOption('requireClient', clientsRule, value);
  const { issuer, clientId } = readOptions<Partial<IssuerClient>>('requireClient', value, clientRules);
  if (issuer === undefined) throw invalidOption('requireClient: issuer', clientRules.issuer, undefined);
  if (clientId === undefined) throw invalidOption('requireClient: clientId', clientRules.clientId, undefined);
  return { issuer, clientId };
}
