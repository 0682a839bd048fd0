/** The versions of Node.js: this one, and those that the tests use. */
import { grow } from '../harness/grow.js';
import { otherRuntimes } from '../harness/runtimes.js';

export const title = 'Node.js';

const majorOf = (version) => version.slice(1, version.indexOf('.'));

export async function run(plan) {
  const own = { major: majorOf(process.version), execPath: process.execPath };
  const others = (await otherRuntimes()).filter(({ major }) => major !== own.major);
  const points = [own, ...others]
    .sort((a, b) => Number(a.major) - Number(b.major))
    .map(({ major, execPath }) => ({ label: major, fleet: { execPath } }));
  const result = await grow(plan, points);
  return others.length > 0 ? result : { ...result, notes: ['other versions: for Linux on x64 only'] };
}
