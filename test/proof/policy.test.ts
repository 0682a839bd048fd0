import { describe, expect, it } from '@jest/globals';
import type { Scheme } from '../../lib/challenge.js';
import { InvalidTokenError, type InvalidTokenReason, type ProofMode } from '../../lib/index.js';
import { checkBinding } from '../../lib/proof/policy.js';
import { readConfirmation } from '../../lib/token/confirmation.js';

type Binding = 'nothing' | 'a key' | 'a certificate' | 'both';

interface Row {
  readonly scheme: Scheme;
  readonly binding: Binding;
  readonly dpop: ProofMode;
  readonly mtls: ProofMode;
  readonly isBindingRequired: boolean;
}

const SCHEMES = ['Bearer', 'DPoP'] as const;
const BINDINGS = ['nothing', 'a key', 'a certificate', 'both'] as const;
const MODES = ['off', 'allowed', 'required'] as const;

const ROWS: readonly Row[] = SCHEMES.flatMap((scheme) =>
  BINDINGS.flatMap((binding) =>
    MODES.flatMap((dpop) =>
      MODES.flatMap((mtls) =>
        [true, false].map((isBindingRequired) => ({ scheme, binding, dpop, mtls, isBindingRequired })),
      ),
    ),
  ),
);

const THUMBPRINTS = {
  nothing: { jkt: undefined, x5tS256: undefined },
  'a key': { jkt: 'key', x5tS256: undefined },
  'a certificate': { jkt: undefined, x5tS256: 'certificate' },
  both: { jkt: 'key', x5tS256: 'certificate' },
} as const;

/** DESIGN rule 9 and the docstrings of the options, as rules. The first rule that applies is the expected result. */
const RULES: readonly [rule: string, reason: InvalidTokenReason, applies: (row: Row) => boolean][] = [
  [
    'a DPoP-bound token is never a bearer token',
    'binding_unproven',
    ({ scheme, binding }) => scheme === 'Bearer' && ['a key', 'both'].includes(binding),
  ],
  [
    'with dpop off, a DPoP-bound token cannot be proven',
    'binding_unproven',
    ({ dpop, binding }) => dpop === 'off' && ['a key', 'both'].includes(binding),
  ],
  [
    'with mtls off, a certificate-bound token cannot be proven',
    'binding_unproven',
    ({ mtls, binding }) => mtls === 'off' && ['a certificate', 'both'].includes(binding),
  ],
  [
    'the scheme DPoP needs a DPoP-bound token',
    'binding_missing',
    ({ scheme, binding }) => scheme === 'DPoP' && ['nothing', 'a certificate'].includes(binding),
  ],
  [
    'with dpop required, every token must be DPoP-bound',
    'binding_missing',
    ({ dpop, binding }) => dpop === 'required' && ['nothing', 'a certificate'].includes(binding),
  ],
  [
    'with mtls required, every token must be certificate-bound',
    'binding_missing',
    ({ mtls, binding }) => mtls === 'required' && ['nothing', 'a key'].includes(binding),
  ],
  [
    'if a binding is required, every token must have one',
    'binding_missing',
    ({ isBindingRequired, binding }) => isBindingRequired && binding === 'nothing',
  ],
];

/** All accepted combinations. */
const ACCEPTED: readonly [Scheme, Binding, dpop: string, mtls: string, isBindingRequired: string][] = [
  ['Bearer', 'nothing', 'off allowed', 'off allowed', 'false'],
  ['Bearer', 'a certificate', 'off allowed', 'allowed required', 'false true'],
  ['DPoP', 'a key', 'allowed required', 'off allowed', 'false true'],
  ['DPoP', 'both', 'allowed required', 'allowed required', 'false true'],
];

function check({ scheme, binding, ...policy }: Row): InvalidTokenReason | 'accepted' {
  try {
    checkBinding(scheme, THUMBPRINTS[binding], policy);
    return 'accepted';
  } catch (error) {
    if (error instanceof InvalidTokenError) return error.reason;
    throw error;
  }
}

function describeRow({ scheme, binding, dpop, mtls, isBindingRequired }: Row): string {
  const also = isBindingRequired ? ', one of them required' : '';
  return `a token bound to ${binding}, presented as ${scheme}: dpop ${dpop}, mtls ${mtls}${also}`;
}

describe('the table of bindings', () => {
  it('has 144 rows', () => {
    expect(new Set(ROWS.map(describeRow)).size).toBe(144);
  });

  it.each(ROWS.map((row) => [describeRow(row), row] as const))('%s', (_, row) => {
    const rule = RULES.find(([, , applies]) => applies(row));
    expect(check(row)).toBe(rule?.[1] ?? 'accepted');
  });

  it('accepts exactly the listed combinations', () => {
    const expected = ACCEPTED.flatMap(([scheme, binding, dpop, mtls, required]) =>
      ROWS.filter(
        (row) =>
          row.scheme === scheme &&
          row.binding === binding &&
          dpop.split(' ').includes(row.dpop) &&
          mtls.split(' ').includes(row.mtls) &&
          required.split(' ').includes(String(row.isBindingRequired)),
      ),
    );
    const passing = ROWS.filter((row) => check(row) === 'accepted');
    expect(passing.map(describeRow).sort()).toEqual(expected.map(describeRow).sort());
    expect(passing).toHaveLength(28);
  });

  it('never accepts a DPoP-bound token as a bearer token', () => {
    const downgraded = ROWS.filter(
      ({ scheme, binding }) => scheme === 'Bearer' && (binding === 'a key' || binding === 'both'),
    );
    expect(downgraded).toHaveLength(36);
    expect(new Set(downgraded.map(check))).toEqual(new Set(['binding_unproven']));
  });

  it('never accepts a token whose binding is not checked', () => {
    const unseen = ROWS.filter(
      ({ binding, dpop, mtls }) =>
        (dpop === 'off' && (binding === 'a key' || binding === 'both')) ||
        (mtls === 'off' && (binding === 'a certificate' || binding === 'both')),
    );
    expect(unseen.length).toBeGreaterThan(0);
    expect(unseen.filter((row) => check(row) === 'accepted')).toEqual([]);
  });
});

describe('other members of cnf', () => {
  it.each([
    ['jwk', { kty: 'EC' }],
    ['jwe', 'x'],
    ['kid', 'x'],
    ['jku', 'https://auth.example.com/jwks'],
    ['x5u', 'https://auth.example.com/cert'],
    ['x5t#S512', 'x'],
    ['osc', {}],
  ])('are ignored, as RFC 7800 §3.1 requires: %s', (name, value) => {
    const policy = { dpop: 'allowed', mtls: 'allowed', isBindingRequired: false } as const;
    const confirmation = readConfirmation({ cnf: { [name]: value } });
    expect(confirmation).toEqual({ jkt: undefined, x5tS256: undefined, ignored: [name] });
    const check = (): void => {
      checkBinding('Bearer', confirmation, policy);
    };
    expect(check).not.toThrow();
  });
});

describe('a rejected binding', () => {
  const policy = { dpop: 'allowed', mtls: 'allowed', isBindingRequired: false } as const;

  it.each<[string, () => unknown, { checked: string; expected: unknown; found: unknown }]>([
    [
      'a DPoP-bound token as a bearer token',
      () => {
        checkBinding('Bearer', THUMBPRINTS['a key'], policy);
      },
      { checked: 'scheme', expected: 'DPoP', found: 'Bearer' },
    ],
    [
      'a DPoP-bound token with dpop off',
      () => {
        checkBinding('Bearer', THUMBPRINTS['a key'], { ...policy, dpop: 'off' });
      },
      { checked: 'cnf.jkt', expected: 'none, because dpop is off', found: 'key' },
    ],
    [
      'a certificate-bound token with mtls off',
      () => {
        checkBinding('Bearer', THUMBPRINTS['a certificate'], { ...policy, mtls: 'off' });
      },
      { checked: 'cnf.x5t#S256', expected: 'none, because mtls is off', found: 'certificate' },
    ],
    [
      'an unbound token with the scheme DPoP',
      () => {
        checkBinding('DPoP', THUMBPRINTS.nothing, policy);
      },
      { checked: 'cnf.jkt', expected: 'the thumbprint of a key', found: undefined },
    ],
    [
      'an unbound token with mtls required',
      () => {
        checkBinding('Bearer', THUMBPRINTS.nothing, { ...policy, mtls: 'required' });
      },
      { checked: 'cnf.x5t#S256', expected: 'the thumbprint of a certificate', found: undefined },
    ],
    [
      'an unbound token if a binding is required',
      () => {
        checkBinding('Bearer', THUMBPRINTS.nothing, { ...policy, isBindingRequired: true });
      },
      { checked: 'cnf', expected: 'jkt or x5t#S256', found: undefined },
    ],
    [
      'a cnf that is not an object',
      () => readConfirmation({ cnf: 1 }),
      { checked: 'cnf', expected: 'an object', found: 1 },
    ],
    [
      'a token with other members than jkt and x5t#S256',
      () => {
        checkBinding('Bearer', readConfirmation({ cnf: { jwk: {}, kid: 'x', x5u: 'y' } }), {
          ...policy,
          dpop: 'required',
        });
      },
      {
        checked: 'cnf.jkt',
        expected: 'the thumbprint of a key',
        found: 'only members that are not enforced: jwk, kid, x5u',
      },
    ],
    [
      'a member that is not a string',
      () => readConfirmation({ cnf: { jkt: 1 } }),
      { checked: 'cnf.jkt', expected: 'a non-empty string', found: 1 },
    ],
  ])('has its details in the cause: %s', (_what, reject, cause) => {
    let rejected: unknown;
    try {
      reject();
    } catch (error) {
      rejected = error;
    }
    expect(rejected).toBeInstanceOf(InvalidTokenError);
    expect(rejected).toMatchObject({ cause });
  });
});
