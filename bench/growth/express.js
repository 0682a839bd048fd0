/** Express 4 and 5. */
import { grow } from '../harness/grow.js';

export const title = 'Express';

export function run(plan) {
  return grow(plan, [
    { label: '4', fleet: { expressPackage: 'express4' } },
    { label: '5', fleet: { expressPackage: 'express' } },
  ]);
}
