import {
  type InsufficientScopeReason,
  type Middleware,
  requireAnyScope,
  requireClaim,
  requireClient,
  requireMachine,
  requireScopes,
  requireThat,
  requireUser,
} from '../../lib/index.js';

const USER = { sub: 'alice', sid: 'session-1' };
const isFoo = (value: unknown): boolean => value === 'foo';

/** A gate, claims that it accepts, claims that it rejects, and the reason and scope of the rejection. */
interface GateCase {
  readonly what: string;
  readonly gate: Middleware;
  readonly good: Record<string, unknown>;
  readonly bad: Record<string, unknown>;
  readonly reason: InsufficientScopeReason;
  readonly scope: string | undefined;
}

type Row = [
  what: string,
  gate: Middleware,
  good: Record<string, unknown>,
  bad: Record<string, unknown>,
  reason: InsufficientScopeReason,
  scope?: string,
];

const ROWS: Row[] = [
  ['a scope', requireScopes('a'), { scope: 'a' }, {}, 'scope_missing', 'a'],
  ['all scopes', requireScopes('a', 'b'), { scope: 'b c a' }, { scope: 'a c' }, 'scope_missing', 'a b'],
  ['a scope as a whole word', requireScopes('read'), { scp: ['read'] }, { scope: 'read:all' }, 'scope_missing', 'read'],
  [
    'a scope in the same letter case',
    requireScopes('Read'),
    { scope: 'Read' },
    { scope: 'read' },
    'scope_missing',
    'Read',
  ],
  ['a scope that is named twice', requireScopes('a', 'a'), { scope: 'a' }, { scope: 'b' }, 'scope_missing', 'a'],
  ['any scope', requireAnyScope('a', 'b'), { scope: 'b' }, { scope: 'c' }, 'scope_missing', 'a b'],
  ['a claim', requireClaim('x', 'foo'), { x: 'foo' }, { x: 'bar' }, 'claim_mismatch'],
  ['a claim that is present', requireClaim('x', 'foo'), { x: 'foo' }, {}, 'claim_mismatch'],
  ['a claim of the same type', requireClaim('x', 1), { x: 1 }, { x: '1' }, 'claim_mismatch'],
  ['a claim that is false', requireClaim('x', false), { x: false }, { x: 0 }, 'claim_mismatch'],
  ['a claim that is null', requireClaim('x', null), { x: null }, {}, 'claim_mismatch'],
  ['one of several values', requireClaim('x', ['foo', 2]), { x: 2 }, { x: 'foo2' }, 'claim_mismatch'],
  ['a value in an array claim', requireClaim('x', 'foo'), { x: ['a', 'foo'] }, { x: ['a', ['foo']] }, 'claim_mismatch'],
  ['one of several values in an array claim', requireClaim('x', ['a', 'b']), { x: ['b'] }, { x: [] }, 'claim_mismatch'],
  ['a whole string claim', requireClaim('x', 'foo'), { x: 'foo' }, { x: 'foo bar' }, 'claim_mismatch'],
  ['a string claim', requireClaim('x', 'foo'), { x: 'foo' }, { x: { foo: 'foo' } }, 'claim_mismatch'],
  ['a claim that a predicate accepts', requireClaim('x', isFoo), { x: 'foo' }, { x: ['foo'] }, 'claim_mismatch'],
  ['a present claim that a predicate accepts', requireClaim('x', (x) => x !== 1), { x: 2 }, {}, 'claim_mismatch'],
  ['a client', requireClient('c', 'd'), { client_id: 'd' }, { client_id: 'e' }, 'client_refused'],
  ['a client that is present', requireClient('c'), { client_id: 'c' }, { client_id: undefined }, 'client_refused'],
  ['evidence of a machine', requireMachine(), {}, USER, 'machine_required'],
  ['evidence of a user', requireUser(), USER, {}, 'user_required'],
  ['a condition', requireThat(({ subject }) => subject === 'alice'), USER, {}, 'condition_failed'],
];

export const GATES: readonly GateCase[] = ROWS.map(([what, gate, good, bad, reason, scope]) => ({
  what,
  gate,
  good,
  bad,
  reason,
  scope,
}));
