import { expect, it } from '@jest/globals';
import { type AccessToken, introspectionVerifier, jwtVerifier, type TokenVerifier } from '../../lib/index.js';
import type { TestIssuer } from '../../lib/testing/issuer.js';
import { startIssuer, verifyAsync } from '../support/helpers.js';
import { optionsFor } from '../support/introspection.js';
import { codesOf, recordWarnings } from '../support/warnings.js';

const KINDS: [
  string,
  (issuer: TestIssuer) => Required<Pick<TokenVerifier, 'verify' | 'explain'>>,
  (issuer: TestIssuer, exp: number) => string | Promise<string>,
][] = [
  [
    'jwtVerifier',
    ({ url, audience }) => jwtVerifier({ issuer: url, audience }),
    (issuer, exp) => issuer.issue({ exp }),
  ],
  [
    'introspectionVerifier',
    (issuer) => introspectionVerifier(optionsFor(issuer)),
    (issuer, exp) => issuer.issueOpaque({ exp }),
  ],
];

it.each(KINDS)('exp in milliseconds causes one warning, and the token is valid: %s', async (_, create, issue) => {
  const issuer = await startIssuer();
  const warnings = recordWarnings();
  const verifier = create(issuer);
  const verify = async (exp: number): Promise<AccessToken> => verifyAsync(verifier, await issue(issuer, exp));
  await verify(issuer.now + 60);
  expect(codesOf(warnings)).toEqual([]);
  for (let i = 1; i <= 3; i++) await verify((issuer.now + i) * 1_000);
  expect(codesOf(warnings)).toEqual(['ERS_EXP_IN_MILLISECONDS']);
  expect(warnings[0]?.message).toContain(issuer.url);
});

it.each(KINDS)('explain says that exp is in milliseconds: %s', async (_, create, issue) => {
  const issuer = await startIssuer();
  const { accepted, checks } = await create(issuer).explain(await issue(issuer, issuer.now * 1_000));
  expect(accepted).toBe(true);
  expect(checks.flatMap(({ state, fix }) => (fix === undefined ? [] : [[state, fix]]))).toEqual([
    ['passed', expect.stringContaining('exp is in milliseconds')],
  ]);
});
