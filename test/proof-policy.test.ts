import { describe, expect, it } from '@jest/globals';
import type { Scheme } from '../lib/challenge.js';
import { InvalidTokenError, type InvalidTokenReason, type ProofMode } from '../lib/index.js';
import { checkBinding } from '../lib/proof/policy.js';
import { readConfirmation } from '../lib/token/confirmation.js';

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

/** What DESIGN rule 9 and the words of the options say, sentence by sentence. The first that applies is the answer. */
const RULES: readonly [says: string, reason: InvalidTokenReason, applies: (row: Row) => boolean][] = [
  [
    'a token bound to a key is no bearer token',
    'binding_unproven',
    ({ scheme, binding }) => scheme === 'Bearer' && ['a key', 'both'].includes(binding),
  ],
  [
    'where no proofs are taken, a token bound to a key cannot be proven',
    'binding_unproven',
    ({ dpop, binding }) => dpop === 'off' && ['a key', 'both'].includes(binding),
  ],
  [
    'where no certificates are looked at, a token bound to one cannot be proven',
    'binding_unproven',
    ({ mtls, binding }) => mtls === 'off' && ['a certificate', 'both'].includes(binding),
  ],
  [
    'with DPoP comes a token that is bound to a key',
    'binding_missing',
    ({ scheme, binding }) => scheme === 'DPoP' && ['nothing', 'a certificate'].includes(binding),
  ],
  [
    'where DPoP is required, every token is bound to a key',
    'binding_missing',
    ({ dpop, binding }) => dpop === 'required' && ['nothing', 'a certificate'].includes(binding),
  ],
  [
    'where mutual TLS is required, every token is bound to a certificate',
    'binding_missing',
    ({ mtls, binding }) => mtls === 'required' && ['nothing', 'a key'].includes(binding),
  ],
  [
    'where a binding is required, no token is bound to nothing',
    'binding_missing',
    ({ isBindingRequired, binding }) => isBindingRequired && binding === 'nothing',
  ],
];

/** All that passes, counted out: the modes with which a token may come. */
const PASSES: readonly [Scheme, Binding, dpop: string, mtls: string, isBindingRequired: string][] = [
  ['Bearer', 'nothing', 'off allowed', 'off allowed', 'false'],
  ['Bearer', 'a certificate', 'off allowed', 'allowed required', 'false true'],
  ['DPoP', 'a key', 'allowed required', 'off allowed', 'false true'],
  ['DPoP', 'both', 'allowed required', 'allowed required', 'false true'],
];

function check({ scheme, binding, ...policy }: Row): InvalidTokenReason | 'passes' {
  try {
    checkBinding(scheme, THUMBPRINTS[binding], policy);
    return 'passes';
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
    expect(check(row)).toBe(rule?.[1] ?? 'passes');
  });

  it('lets those pass that were counted out, and nothing else', () => {
    const expected = PASSES.flatMap(([scheme, binding, dpop, mtls, required]) =>
      ROWS.filter(
        (row) =>
          row.scheme === scheme &&
          row.binding === binding &&
          dpop.split(' ').includes(row.dpop) &&
          mtls.split(' ').includes(row.mtls) &&
          required.split(' ').includes(String(row.isBindingRequired)),
      ),
    );
    const passing = ROWS.filter((row) => check(row) === 'passes');
    expect(passing.map(describeRow).sort()).toEqual(expected.map(describeRow).sort());
    expect(passing).toHaveLength(28);
  });

  it('never lets a token that is bound to a key pass as a bearer token', () => {
    const downgraded = ROWS.filter(
      ({ scheme, binding }) => scheme === 'Bearer' && (binding === 'a key' || binding === 'both'),
    );
    expect(downgraded).toHaveLength(36);
    expect(new Set(downgraded.map(check))).toEqual(new Set(['binding_unproven']));
  });

  it('never lets a token pass whose binding nobody looks at', () => {
    const unseen = ROWS.filter(
      ({ binding, dpop, mtls }) =>
        (dpop === 'off' && (binding === 'a key' || binding === 'both')) ||
        (mtls === 'off' && (binding === 'a certificate' || binding === 'both')),
    );
    expect(unseen.length).toBeGreaterThan(0);
    expect(unseen.filter((row) => check(row) === 'passes')).toEqual([]);
  });
});

describe('a refused binding', () => {
  const policy = { dpop: 'allowed', mtls: 'allowed', isBindingRequired: false } as const;

  it.each<[string, () => unknown, { checked: string; expected: unknown; found: unknown }]>([
    [
      'a token bound to a key as a bearer token',
      () => {
        checkBinding('Bearer', THUMBPRINTS['a key'], policy);
      },
      { checked: 'scheme', expected: 'DPoP', found: 'Bearer' },
    ],
    [
      'a token bound to a key where no proofs are taken',
      () => {
        checkBinding('Bearer', THUMBPRINTS['a key'], { ...policy, dpop: 'off' });
      },
      { checked: 'cnf.jkt', expected: 'none, because dpop is off', found: 'key' },
    ],
    [
      'a token bound to a certificate where none are looked at',
      () => {
        checkBinding('Bearer', THUMBPRINTS['a certificate'], { ...policy, mtls: 'off' });
      },
      { checked: 'cnf.x5t#S256', expected: 'none, because mtls is off', found: 'certificate' },
    ],
    [
      'a token bound to no key with DPoP',
      () => {
        checkBinding('DPoP', THUMBPRINTS.nothing, policy);
      },
      { checked: 'cnf.jkt', expected: 'the thumbprint of a key', found: undefined },
    ],
    [
      'a token bound to no certificate where that is required',
      () => {
        checkBinding('Bearer', THUMBPRINTS.nothing, { ...policy, mtls: 'required' });
      },
      { checked: 'cnf.x5t#S256', expected: 'the thumbprint of a certificate', found: undefined },
    ],
    [
      'a token bound to nothing where one is required',
      () => {
        checkBinding('Bearer', THUMBPRINTS.nothing, { ...policy, isBindingRequired: true });
      },
      { checked: 'cnf', expected: 'jkt or x5t#S256', found: undefined },
    ],
    ['a cnf that is none', () => readConfirmation({ cnf: 1 }), { checked: 'cnf', expected: 'an object', found: 1 }],
    [
      'a member that is no text',
      () => readConfirmation({ cnf: { jkt: 1 } }),
      { checked: 'cnf.jkt', expected: 'a non-empty string', found: 1 },
    ],
  ])('is explained on the cause: %s', (_what, refuse, cause) => {
    let refused: unknown;
    try {
      refuse();
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(InvalidTokenError);
    expect(refused).toMatchObject({ cause });
  });
});
