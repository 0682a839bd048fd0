import { isPlainObject } from '../util/is-plain-object.js';
import { claim, type Claims, isText } from './claims.js';

/** Who acts for the subject: the outermost actor of `act` (RFC 8693 §4.1). */
export interface Actor {
  readonly subject: string | undefined;
  readonly clientId: string | undefined;
  readonly issuer: string | undefined;
}

/** Whether there is evidence that a machine or a person is calling. At most one is true. */
export interface Caller {
  readonly isMachine: boolean;
  readonly isUser: boolean;
}

/** What the rule reads in addition to the claims. */
export interface CallerContext {
  readonly clientId: string | undefined;
  readonly isIntrospected: boolean;
}

/** What one claim, or all claims together, say about the caller. */
interface Evidence {
  readonly isMachine: boolean;
  readonly isUser: boolean;
  /** A claim is present that a machine's token does not have, although it is not evidence of a person. */
  readonly contradictsMachine: boolean;
}

/** Grants in which a person takes part: RFC 6749 §4.1, §4.2, §4.3, RFC 8628. */
const USER_GRANTS: readonly unknown[] = ['authorization_code', 'implicit', 'password', 'device_code'];

/** The methods of RFC 8176 §2 that need a person: biometrics, knowledge, one-time codes, presence. */
const USER_METHODS: readonly unknown[] = [
  ...['face', 'fpt', 'iris', 'kba', 'mca', 'mfa', 'otp', 'pin', 'pwd', 'retina', 'sc', 'sms', 'tel', 'user', 'vbm'],
];

/** Claims about a person. They are not evidence of one, because some servers let a client choose their values. */
const PERSONAL_CLAIMS = ['name', 'given_name', 'family_name', 'nonce'];

/**
 * Decides whether a machine or a person is calling. No standard claim says so (RFC 9068 §2.2 only says that `sub` is the
 * client if no person takes part). Both values need positive evidence, and the absence of a claim is never evidence. A
 * statement of the server decides; without one, all marks must agree. The rule does not read the issuer.
 */
export function readCaller(claims: Claims, context: CallerContext): Caller {
  const stated = readStatements(claims);
  if (stated.isMachine || stated.isUser) return resolve(stated);
  const marks = readMarks(claims, context);
  return resolve({ ...marks, contradictsMachine: marks.contradictsMachine || stated.contradictsMachine });
}

function resolve({ isMachine, isUser, contradictsMachine }: Evidence): Caller {
  return { isMachine: isMachine && !isUser && !contradictsMachine, isUser: isUser && !isMachine };
}

/** The claims in which servers state the caller: Auth0 and FusionAuth, ForgeRock and UAA, Entra ID, WSO2. */
function readStatements(claims: Claims): Evidence {
  const said = [
    readGrants(claims, 'gty'),
    readGrants(claims, 'grant_type'),
    readStatement(claims, 'idtyp', 'app', 'user'),
    readStatement(claims, 'aut', 'APPLICATION', 'APPLICATION_USER'),
  ];
  return {
    isMachine: said.includes('machine'),
    isUser: said.includes('user'),
    // For example `refresh_token`, or a value of a wrong type: not the client-credentials grant, whatever it is.
    contradictsMachine: said.includes('other'),
  };
}

type Statement = 'machine' | 'user' | 'other' | undefined;

function readGrants(claims: Claims, name: string): Statement {
  const value = claim(claims, name);
  if (value === undefined) return undefined;
  const grants = [value].flat().map(normalizeGrant);
  if (grants.some((grant) => USER_GRANTS.includes(grant))) return 'user';
  return grants.length > 0 && grants.every((grant) => grant === 'client_credentials') ? 'machine' : 'other';
}

// RFC 8628 §3.4 names a grant by a URN; Auth0 writes hyphens.
function normalizeGrant(grant: unknown): unknown {
  if (typeof grant !== 'string') return grant;
  return grant.replace(/^urn:ietf:params:oauth:grant-type:/, '').replaceAll('-', '_');
}

function readStatement(claims: Claims, name: string, machine: string, user: string): Statement {
  const value = claim(claims, name);
  if (value === undefined) return undefined;
  if (value === machine) return 'machine';
  return value === user ? 'user' : 'other';
}

function readMarks(claims: Claims, { clientId, isIntrospected }: CallerContext): Evidence {
  const [sid, amr, typ] = [claim(claims, 'sid'), claim(claims, 'amr'), claim(claims, 'typ')];
  const [username, preferred] = [claim(claims, 'username'), claim(claims, 'preferred_username')];
  const userNames = [username, preferred].filter((name) => name !== undefined);
  const isSubjectTheClient = clientId !== undefined && isClient(claim(claims, 'sub'), clientId);
  // Only Keycloak reserves such user names, and its access tokens have these types.
  const isFromKeycloak = isIntrospected || typ === 'Bearer' || typ === 'DPoP';
  const isNamedPerson = clientId !== undefined && !isSubjectTheClient && isNameOfPerson(username, clientId);
  return {
    isMachine:
      (isSubjectTheClient && userNames.length === 0) ||
      (clientId !== undefined && isFromKeycloak && isServiceAccount(userNames, clientId)),
    isUser: isText(sid) || hasUserMethod(amr) || isNamedPerson,
    contradictsMachine:
      sid !== undefined || isMalformedList(amr) || PERSONAL_CLAIMS.some((name) => claim(claims, name) !== undefined),
  };
}

/** RFC 9068 §2.2, Auth0, ForgeRock. Compared as a whole, because people choose names that begin or end like that. */
function isClient(subject: unknown, clientId: string): boolean {
  return subject === clientId || subject === `${clientId}@clients` || subject === `(age!${clientId})`;
}

function isServiceAccount(userNames: readonly unknown[], clientId: string): boolean {
  const account = `service-account-${clientId.toLowerCase()}`;
  return userNames.length > 0 && userNames.every((name) => name === account);
}

/** RFC 7662 §2.2: `username` names the person who authorized the token. Some servers write the client there. */
function isNameOfPerson(name: unknown, clientId: string): boolean {
  if (!isText(name)) return false;
  return name !== clientId && !name.startsWith(`${clientId}@`) && !name.toLowerCase().startsWith('service-account-');
}

function hasUserMethod(amr: unknown): boolean {
  if (amr === undefined) return false;
  return [amr].flat().some((method) => USER_METHODS.includes(method));
}

// It may contain a method of a person that cannot be read.
function isMalformedList(value: unknown): boolean {
  return value !== undefined && [value].flat().some((item) => typeof item !== 'string');
}

/** The outermost actor; nested actors are history and decide nothing (RFC 8693 §4.1). */
export function readActor(claims: Claims): Actor | undefined {
  const act = claim(claims, 'act');
  if (!isPlainObject(act)) return undefined;
  return {
    subject: readText(act, 'sub'),
    clientId: readText(act, 'client_id') ?? readText(act, 'azp'),
    issuer: readText(act, 'iss'),
  };
}

/**
 * Whether somebody other than the token's own client acts. An `act` that does not identify the client counts as somebody
 * else. The same name at another issuer is somebody else (RFC 8693 §4.1).
 */
export function hasForeignActor(claims: Claims, clientId: string | undefined, issuer: string): boolean {
  const act = claim(claims, 'act');
  if (act === undefined) return false;
  if (!isPlainObject(act)) return true;
  const names = ['sub', 'client_id', 'azp'].map((name) => claim(act, name)).filter((name) => name !== undefined);
  const isOfThisIssuer = [undefined, issuer, claim(claims, 'iss')].includes(claim(act, 'iss'));
  return !isOfThisIssuer || names.length === 0 || names.some((name) => name !== clientId);
}

function readText(claims: Claims, name: string): string | undefined {
  const value = claim(claims, name);
  return isText(value) ? value : undefined;
}
