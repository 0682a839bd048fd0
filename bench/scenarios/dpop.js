/** The cost of a DPoP proof per request, compared with one signature check by jose, and the memory per recorded proof. */
import { Child } from '../harness/child.js';
import { figure, show, showSpread } from '../harness/stats.js';

export const title = 'DPoP proofs, each new, with a token seen before (in process)';

const YARDSTICK = 'jose, with an imported key';
const OURS = 'a cached DPoP token';

export async function run({ algorithms, callRounds, proofs, replayEntries }) {
  const child = new Child(new URL('../harness/dpop-process.js', import.meta.url), { execArgv: ['--expose-gc'] });
  const figures = {};
  const rows = [];
  for (const alg of algorithms) {
    const rounds = await child.call('compare', { alg, rounds: callRounds, calls: proofs, warmUp: proofs * 3 });
    const ratioOf = (name) => figure(rounds[name].map((each, i) => each / rounds[YARDSTICK][i]));
    for (const name of Object.keys(rounds)) {
      rows.push([alg, name, show(figure(rounds[name]).median), show(ratioOf(name).median), showSpread(ratioOf(name))]);
    }
    figures[alg] = { cpu: figure(rounds[OURS]), timesJose: ratioOf(OURS) };
  }
  const { samples, statuses } = await child.call('fill', { entries: replayEntries });
  await child.end();
  const [empty, full, more] = samples;
  const perProof = (full - empty) / replayEntries;
  return {
    columns: ['alg', 'contender', 'µs CPU per call', '× jose', '(rounds)'],
    rows,
    notes: [
      `${show(perProof)} bytes per recorded proof (${replayEntries.toLocaleString('en-US')} of them)`,
      `as many more, above the limit: ${show(more / full)} × that memory, ${statuses[503] ?? 0} responses with 503`,
    ],
    figures: { ...figures, replay: { perProof, growth: more / full, statuses } },
  };
}
