import { expect, it } from '@jest/globals';
import { jwtBearer } from '../../lib/index.js';
import { get, serve } from '../support/helpers.js';
import { codesOf, recordWarnings } from '../support/warnings.js';

const OPTIONS = { issuer: 'https://auth.example.com', audience: 'https://api.example.com', keys: { prefetch: false } };

it.each<[string, () => unknown]>([
  [
    'throws',
    () => {
      throw new Error('the log is full');
    },
  ],
  ['rejects', () => Promise.reject(new Error('the log is full'))],
])('an onRejection that %s for each request causes one warning', async (_, fail) => {
  const warnings = recordWarnings();
  const app = serve(jwtBearer({ ...OPTIONS, onRejection: () => fail() }));
  for (let i = 0; i < 20; i++) await get(app).expect(401);
  expect(codesOf(warnings)).toEqual(['ERS_ON_REJECTION']);
  expect(warnings[0]?.message).toContain('the log is full');
});
