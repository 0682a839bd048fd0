/** The time from import to the first verified request, and the size of the installation. */
import { Child } from '../harness/child.js';
import { Fleet, interleave } from '../harness/fleet.js';
import { installedSize } from '../harness/package-under-test.js';
import { figure, show, showSpread } from '../harness/stats.js';

export const title = 'Start and size (beyond Express)';

export async function run({ contenders, starts }) {
  const measured = contenders.filter(({ packages }) => packages.length > 0);
  const fleet = await Fleet.start('RS256', []);
  const token = await fleet.mint.valid();
  const once = async (name) => {
    const { file } = measured.find((each) => each.name === name);
    const child = new Child(new URL('../harness/start-process.js', import.meta.url));
    const times = await child.call('start', { file, setting: fleet.setting, token });
    await child.end();
    return times;
  };
  const names = measured.map(({ name }) => name);
  // The first start of each contender fills the file system's cache.
  await interleave(names, 1, once);
  const results = await interleave(names, starts, once);
  await fleet.end();

  const figures = Object.fromEntries(
    measured.map(({ name, packages }) => {
      const imported = figure(results.get(name).map((times) => times.imported));
      const verified = figure(results.get(name).map((times) => times.verified));
      return [name, { imported, verified, ...installedSize(packages) }];
    }),
  );
  return {
    columns: ['contender', 'import ms', '(starts)', 'to first verified ms', '(starts)', 'KiB', 'packages'],
    rows: names.map((name) => {
      const { imported, verified, kib, packages } = figures[name];
      const times = [imported, verified].flatMap((each) => [show(each.median), showSpread(each)]);
      return [name, ...times, show(kib), `${packages}`];
    }),
    notes: ['the first verified request includes fetching the keys from the issuer'],
    figures,
  };
}
