import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { CONTENDERS } from './contenders/index.js';
import { installPackage } from './harness/package-under-test.js';
import { table } from './harness/table.js';
import { compareWithTargets } from './targets.js';

const SCENARIOS = [
  ...['seen', 'seen-in-process', 'opaque', 'new', 'invalid-signatures', 'unknown-kids'],
  ...['dpop', 'start', 'memory', 'listeners'],
];

/** Rounds are many and short, so that compared results were measured at nearly the same time. */
const FULL = {
  rounds: 15,
  requests: 1000,
  warmUp: 4000,
  calls: 100_000,
  callRounds: 9,
  latencyRounds: 7,
  latencySeconds: 1,
  starts: 9,
  memoryTokens: 200_000,
  proofs: 3000,
  replayEntries: 50_000,
  algorithms: ['RS256', 'ES256', 'EdDSA'],
};
const QUICK = {
  rounds: 5,
  requests: 500,
  warmUp: 3000,
  calls: 20_000,
  callRounds: 5,
  latencyRounds: 3,
  latencySeconds: 0.3,
  starts: 3,
  memoryTokens: 60_000,
  proofs: 1500,
  replayEntries: 10_000,
  algorithms: ['RS256'],
};

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    contenders: { type: 'string', multiple: true },
    json: { type: 'string' },
    profile: { type: 'string' },
  },
});

const plan = {
  ...(args.quick ? QUICK : FULL),
  contenders: chooseContenders(args.contenders),
  profileInto: args.profile && resolve(args.profile),
};
const machine = { node: process.version, cpu: cpus()[0].model, cores: cpus().length, system: process.platform };

const busy = loadavg()[0];

installPackage();
console.log(`${machine.cpu}, ${machine.cores} cores, Node.js ${machine.node}, ${machine.system}`);
console.log(versions().join(', '));
console.log(
  `${args.quick ? 'A quick run: too short for exact figures. ' : ''}Medians of interleaved rounds;` +
    ' each round is compared with bare Express and the floor of the same round.' +
    ' In brackets: the lowest and the highest round. Absolute figures are noisy; ratios count.',
);

if (busy > 0.3 * machine.cores) {
  console.log(`The machine was busy before this run (load ${busy.toFixed(1)}): expect wide brackets.`);
}

const results = {};
for (const name of chooseScenarios(args.only)) {
  const { title, run } = await import(`./scenarios/${name}.js`);
  const start = performance.now();
  const result = await run(plan);
  results[name] = { title, ...result };
  console.log(`\n${name}: ${title}\n\n${table(result.columns, result.rows)}`);
  for (const note of result.notes) console.log(`  ${note}`);
  console.error(`  (${Math.round((performance.now() - start) / 1000)} s)`);
}

const targets = compareWithTargets(results, CONTENDERS);
console.log(`\ntargets: the limits that this package sets itself\n\n${table(targets.columns, targets.rows)}`);

if (args.json) {
  mkdirSync(dirname(resolve(args.json)), { recursive: true });
  writeFileSync(args.json, `${JSON.stringify({ machine, versions: versions(), plan, results, targets }, null, 2)}\n`);
}

function chooseScenarios(only = SCENARIOS) {
  const names = only.flatMap((each) => each.split(','));
  const unknown = names.filter((name) => !SCENARIOS.includes(name));
  if (unknown.length > 0)
    throw new Error(`No such scenario: ${unknown.join(', ')}. There are ${SCENARIOS.join(', ')}.`);
  return names;
}

// Without bare Express, the floor and this package there is nothing to compare.
function chooseContenders(only) {
  if (only === undefined) return CONTENDERS;
  const names = only.flatMap((each) => each.split(','));
  return CONTENDERS.filter(({ name, role }) => role !== 'peer' || names.includes(name));
}

function versions() {
  const packages = new Set(['express', ...CONTENDERS.flatMap((contender) => contender.packages)]);
  return [...packages].map((name) => {
    const file = new URL(`./node_modules/${name}/package.json`, import.meta.url);
    return `${name} ${JSON.parse(readFileSync(file, 'utf8')).version}`;
  });
}
