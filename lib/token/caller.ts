import { claim, type Claims } from './claims.js';

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

/** What the rule reads beside the claims. */
export interface CallerContext {
  readonly clientId: string | undefined;
  readonly isIntrospected: boolean;
}

type Evidence = 'machine' | 'user';

/** Grants in which a person takes part: RFC 6749 §4.1, §4.2, §4.3, RFC 8628. */
const USER_GRANTS: readonly string[] = ['authorization_code', 'implicit', 'password', 'device_code'];

/** Methods of RFC 8176 §2 that need a person: biometrics, knowledge, one-time codes, presence. */
const USER_METHODS: readonly unknown[] = [
  ...['face', 'fpt', 'iris', 'kba', 'mca', 'mfa', 'otp', 'pin', 'pwd', 'retina', 'sc', 'sms', 'tel', 'user', 'vbm'],
];

/** Only people have them, but a client may choose their values: they contradict a machine and prove nothing. */
const CONTRADICTIONS = ['name', 'given_name', 'family_name', 'nonce'];

/**
 * Decides whether a machine or a person is calling. There is no standard claim for it (RFC 9068 §2.2 only says that `sub`
 * is the client then), so both values need positive evidence, and the absence of a claim is never evidence. A statement of
 * the server decides; without one, all marks must agree. No rule reads the issuer.
 */
export function readCaller(claims: Claims, context: CallerContext): Caller {
  const statements = readStatements(claims);
  const evidence = statements.size > 0 ? statements : readMarks(claims, context);
  const [only] = evidence;
  return { isMachine: evidence.size === 1 && only === 'machine', isUser: evidence.size === 1 && only === 'user' };
}

/** What the server says outright: Auth0, FusionAuth, WSO2, Entra ID. */
function readStatements(claims: Claims): ReadonlySet<Evidence> {
  const found = new Set<Evidence>();
  const grants = [...listOf(claims, 'gty'), ...listOf(claims, 'grant_type')].map(normalizeGrant);
  if (grants.length > 0 && grants.every((grant) => grant === 'client_credentials')) found.add('machine');
  if (grants.some((grant) => USER_GRANTS.some((each) => each === grant))) found.add('user');
  const idtyp = claim(claims, 'idtyp');
  if (idtyp === 'app') found.add('machine');
  if (idtyp === 'user') found.add('user');
  const aut = claim(claims, 'aut');
  if (aut === 'APPLICATION') found.add('machine');
  if (aut === 'APPLICATION_USER') found.add('user');
  return found;
}

// RFC 8628 §3.4 and others name a grant by a URN; Auth0 writes hyphens.
function normalizeGrant(grant: unknown): unknown {
  if (typeof grant !== 'string') return grant;
  return grant.replace(/^urn:ietf:params:oauth:grant-type:/, '').replaceAll('-', '_');
}

function readMarks(claims: Claims, { clientId, isIntrospected }: CallerContext): ReadonlySet<Evidence> {
  const found = new Set<Evidence>();
  const username = claim(claims, 'username');
  const names = [username, claim(claims, 'preferred_username')].filter((name) => name !== undefined);
  const isSubjectTheClient = clientId !== undefined && isClient(claim(claims, 'sub'), clientId);
  if (isSubjectTheClient && names.length === 0) found.add('machine');
  if (clientId !== undefined && isServiceAccount(names, clientId)) {
    const typ = claim(claims, 'typ');
    // Keycloak. In an access token of another server, a person may have chosen such a user name.
    if (isIntrospected || typ === 'Bearer' || typ === 'DPoP') found.add('machine');
  }
  if (isPresent(claims, 'sid')) found.add('user');
  if (listOf(claims, 'amr').some((method) => USER_METHODS.includes(method))) found.add('user');
  if (clientId !== undefined && !isSubjectTheClient && isNameOfPerson(username, clientId)) found.add('user');
  // With a machine's mark, a contradiction leaves both values false.
  if (found.has('machine') && CONTRADICTIONS.some((name) => isPresent(claims, name))) found.add('user');
  return found;
}

/** RFC 9068 §2.2, Auth0, ForgeRock. Compared as a whole: a person may choose a name that begins or ends like that. */
function isClient(subject: unknown, clientId: string): boolean {
  return subject === clientId || subject === `${clientId}@clients` || subject === `(age!${clientId})`;
}

function isServiceAccount(names: readonly unknown[], clientId: string): boolean {
  const account = `service-account-${clientId.toLowerCase()}`;
  return names.length > 0 && names.every((name) => name === account);
}

/** RFC 7662 §2.2: `username` names the person who authorized the token. Some servers write the client there. */
function isNameOfPerson(name: unknown, clientId: string): boolean {
  if (typeof name !== 'string' || name === '') return false;
  return name !== clientId && !name.startsWith(`${clientId}@`) && !name.toLowerCase().startsWith('service-account-');
}

/** The outermost actor; nested ones are history and decide nothing (RFC 8693 §4.1). */
export function readActor(claims: Claims): Actor | undefined {
  const act = claim(claims, 'act');
  if (typeof act !== 'object' || act === null || Array.isArray(act)) return undefined;
  const members = act as Claims;
  return {
    subject: text(members, 'sub'),
    clientId: text(members, 'client_id') ?? text(members, 'azp'),
    issuer: text(members, 'iss'),
  };
}

/** Whether somebody other than the token's own client acts. An `act` that cannot be read counts as somebody else. */
export function hasForeignActor(claims: Claims, clientId: string | undefined): boolean {
  if (claim(claims, 'act') === undefined) return false;
  const actor = readActor(claims);
  const names = [actor?.subject, actor?.clientId].filter((name) => name !== undefined);
  return clientId === undefined || names.length === 0 || names.some((name) => name !== clientId);
}

function text(claims: Claims, name: string): string | undefined {
  const value = claim(claims, name);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function isPresent(claims: Claims, name: string): boolean {
  const value = claim(claims, name);
  return value !== undefined && value !== '';
}

/** A claim that is one value or an array of them. */
function listOf(claims: Claims, name: string): unknown[] {
  const value = claim(claims, name);
  return value === undefined ? [] : [value].flat();
}
