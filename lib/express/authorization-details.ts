import { InsufficientScopeError, makeFailedCheck } from '../errors.js';
import { assertNotRequest, callable, parseValue, text } from '../options.js';
import type { Auth } from '../token/access-token.js';
import { claim } from '../token/claims.js';
import { gate, type Predicate } from './gate.js';
import type { Middleware } from './middleware.js';
import { isPlainObject } from '../util/is-plain-object.js';

/** One authorization details object (RFC 9396 §2): its type, and members that the type defines. */
export interface AuthorizationDetails {
  readonly type: string;
  readonly [member: string]: unknown;
}

const typeRule = text('the type of authorization details', 'Pass it as the first argument.');
type DetailsPredicate = Predicate<[details: AuthorizationDetails, auth: Auth]>;

const predicateRule = callable<DetailsPredicate>(
  'a function of (details, auth)',
  'Return true for sufficient details.',
);

/**
 * Rich authorization requests (RFC 9396): requires an object of this type in `authorization_details` (§9.1, §9.2) for
 * which the predicate, if there is one, returns `true`. It may be async.
 *
 * @throws ConfigurationError for a type that is not a string, or a predicate that is not a function.
 */
export function requireAuthorizationDetails(type: string, predicate?: DetailsPredicate): Middleware {
  const name = 'requireAuthorizationDetails';
  assertNotRequest(name, type);
  const required = parseValue(name, typeRule, type);
  const accepts = predicate === undefined ? undefined : parseValue(name, predicateRule, predicate);
  const isAnyAccepted = async (auth: Auth, isEnough: DetailsPredicate): Promise<boolean> => {
    for (const details of detailsOf(auth, required)) {
      const isAccepted: unknown = await isEnough(details, auth);
      if (isAccepted === true) return true;
    }
    return false;
  };
  const decide = (auth: Auth): boolean | Promise<boolean> =>
    accepts === undefined ? detailsOf(auth, required).length > 0 : isAnyAccepted(auth, accepts);
  return gate(
    name,
    decide,
    ({ claims }) =>
      new InsufficientScopeError('authorization_details_missing', [], {
        cause: makeFailedCheck('authorization_details', required, claim(claims, 'authorization_details')),
      }),
  );
}

function detailsOf({ claims }: Auth, type: string): AuthorizationDetails[] {
  const details = claim(claims, 'authorization_details');
  return Array.isArray(details) ? details.filter((each) => isOfType(each, type)) : [];
}

function isOfType(details: unknown, type: string): details is AuthorizationDetails {
  return isPlainObject(details) && claim(details, 'type') === type;
}
