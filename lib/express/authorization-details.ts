import { InsufficientScopeError } from '../errors.js';
import { callable, text } from '../options.js';
import type { Auth } from '../token/access-token.js';
import { claim } from '../token/claims.js';
import { gate, parseArgument, type Predicate } from './gate.js';
import type { Middleware } from './middleware.js';

/** One authorization details object (RFC 9396 §2): its type, and members that the type defines. */
export interface AuthorizationDetails {
  readonly type: string;
  readonly [member: string]: unknown;
}

const typeRule = text('the type of authorization details', 'Pass it as the first argument.');
const predicateRule = callable<Predicate<[AuthorizationDetails, Auth]>>(
  'a function of (details, auth)',
  'Return true for details that are enough.',
);

/**
 * Rich authorization requests (RFC 9396): lets tokens pass whose `authorization_details` (§9.1, §9.2) hold an object of
 * this type that the predicate, where there is one, says `true` to. It may be async.
 *
 * @throws ConfigurationError for a type that is no text, or a predicate that is no function.
 */
export function requireAuthorizationDetails(
  type: string,
  predicate?: Predicate<[details: AuthorizationDetails, auth: Auth]>,
): Middleware {
  const name = 'requireAuthorizationDetails';
  const wanted = parseArgument(name, typeRule, type);
  const accepts = predicate === undefined ? undefined : parseArgument(name, predicateRule, predicate);
  const decide = async (auth: Auth): Promise<boolean> => {
    for (const details of detailsOf(auth, wanted)) {
      const isAccepted: unknown = accepts === undefined || (await accepts(details, auth));
      if (isAccepted === true) return true;
    }
    return false;
  };
  return gate(name, decide, () => new InsufficientScopeError('authorization_details_missing'));
}

function detailsOf({ claims }: Auth, type: string): AuthorizationDetails[] {
  const details = claim(claims, 'authorization_details');
  return Array.isArray(details) ? details.filter((each) => isOfType(each, type)) : [];
}

function isOfType(details: unknown, type: string): details is AuthorizationDetails {
  if (typeof details !== 'object' || details === null || !Object.hasOwn(details, 'type')) return false;
  return (details as { type: unknown }).type === type;
}
