/** The cost of a DPoP proof per request, compared with one signature check by jose, and the memory per recorded proof. */
import { randomBytes } from 'node:crypto';
import { Child } from '../harness/child.js';
import { makeClient } from '../harness/dpop-client.js';
import { inTurn } from '../harness/fleet.js';
import { figure, show, showSpread } from '../harness/stats.js';

export const title = 'DPoP proofs, each new, with a token seen before (in process)';

const FILE = new URL('../harness/dpop-process.js', import.meta.url);
const YARDSTICK = 'jose, with an imported key';
const OURS = 'a cached DPoP token';

export async function run({ algorithms, rounds, proofs, replayEntries }) {
  const names = await inChild('names');
  const figures = {};
  const rows = [];
  for (const alg of algorithms) {
    const results = await compare(alg, names, { rounds, proofs });
    const ratioOf = (name) => figure(results.get(name).map((each, i) => each / results.get(YARDSTICK)[i]));
    for (const name of names) {
      rows.push([
        alg,
        name,
        show(figure(results.get(name)).median),
        show(ratioOf(name).median),
        showSpread(ratioOf(name)),
      ]);
    }
    figures[alg] = { cpu: figure(results.get(OURS)), timesJose: ratioOf(OURS) };
  }
  // The second instance and the full store are on purpose.
  const quietly = ['--disable-warning=ERS_SECOND_INSTANCE', '--disable-warning=ERS_STORE'];
  const { samples, statuses } = await inChild('fill', { entries: replayEntries }, ['--expose-gc', ...quietly]);
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

/** Each measurement in a new process, with proofs that no process of this round has received. */
async function compare(alg, names, { rounds, proofs: count }) {
  const client = makeClient(alg, randomBytes(32));
  const results = new Map(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    // Created in each round, because a proof is accepted for a minute only.
    const warmUp = await client.prove(count);
    const proofs = await client.prove(count);
    for (const name of inTurn(names, round)) {
      results.get(name).push(await inChild('measure', { name, setting: client.setting, warmUp, proofs }));
    }
  }
  return results;
}

async function inChild(method, parameters = {}, execArgv = []) {
  const child = new Child(FILE, { execArgv });
  try {
    return await child.call(method, parameters);
  } finally {
    await child.end();
  }
}
