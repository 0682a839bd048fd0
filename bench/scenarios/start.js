/** The time that a whole process needs until its first verified response, and the size of the installation. */
import { BARE, COMMON_JS, OURS } from '../contenders/index.js';
import { Fleet, inTurn } from '../harness/fleet.js';
import { request } from '../harness/load.js';
import { installedSize } from '../harness/package-under-test.js';
import { figure, show, showSpread } from '../harness/stats.js';

export const title = 'Start and size (whole processes, one after the other)';

export async function run({ peers, starts }) {
  const contenders = [BARE, OURS, COMMON_JS, ...peers];
  const fleet = await Fleet.start('RS256', contenders);
  const token = await fleet.mint.valid();
  const results = new Map(contenders.map(({ name }) => [name, []]));
  // The first start of each contender fills the file system's cache.
  for (let round = -1; round < starts; round++) {
    for (const contender of inTurn(contenders, round + 1)) {
      const times = await startOnce(fleet, contender, token);
      if (round >= 0) results.get(contender.name).push(times);
    }
  }
  await fleet.end();
  return report(contenders, results);
}

/** Milliseconds from the creation of the process to its first response, and those of them that the import takes. */
async function startOnce(fleet, contender, token) {
  const start = performance.now();
  const child = fleet.startProcess(contender);
  const { port, importMs } = await fleet.startContender(child, contender);
  const { status } = await request(port, token);
  const total = performance.now() - start;
  await child.end();
  if (status !== 200) throw new Error(`${contender.name} responds ${status} to its first request`);
  return { total, importMs };
}

function report(contenders, results) {
  const bare = results.get(BARE.name);
  const figures = Object.fromEntries(
    contenders.map(({ name, packages }) => {
      const rounds = results.get(name);
      return [
        name,
        {
          total: figure(rounds.map(({ total }) => total)),
          added: figure(rounds.map(({ total }, round) => total - bare[round].total)),
          imported: figure(rounds.map(({ importMs }) => importMs)),
          ...installedSize(packages),
        },
      ];
    }),
  );
  return {
    columns: ['contender', 'ms', 'added', '(starts)', 'import ms', '(starts)', 'KiB', 'packages'],
    rows: Object.entries(figures).map(([name, { total, added, imported, kib, packages }]) => [
      name,
      show(total.median),
      ...[added, imported].flatMap((each) => [show(each.median), showSpread(each)]),
      show(kib),
      `${packages}`,
    ]),
    notes: [
      'ms: from the creation of the process to its first verified response; this includes fetching the keys',
      'KiB and packages: without those of Express',
    ],
    figures,
  };
}
