import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { PEERS } from './contenders/index.js';
import { installPackage } from './harness/package-under-test.js';
import { toJson } from './harness/stats.js';
import { table } from './harness/table.js';
import { compareWithTargets } from './targets.js';

const SCENARIOS = [
  ...['seen', 'seen-in-process', 'opaque', 'new', 'invalid-signatures', 'unknown-kids'],
  ...['dpop', 'start', 'memory', 'listeners'],
];
const GROWTH = ['tokens', 'issuers', 'payload', 'connections', 'express', 'node'];

/** Each round has new processes, and a process needs about 4,000 requests until V8 has compiled what it runs. */
const FULL = {
  rounds: 5,
  requests: 2500,
  warmUp: 4000,
  calls: 100_000,
  latencySeconds: 0.5,
  starts: 9,
  memoryTokens: 100_000,
  proofs: 2000,
  replayEntries: 20_000,
  algorithms: ['RS256', 'ES256', 'EdDSA'],
};
const QUICK = {
  ...FULL,
  rounds: 3,
  requests: 1000,
  warmUp: 2500,
  calls: 20_000,
  latencySeconds: 0.4,
  starts: 3,
  memoryTokens: 30_000,
  proofs: 1000,
  replayEntries: 10_000,
};
const FULL_GROWTH = { rounds: 3, requests: 2000, warmUp: 4000, distinctTokens: [1, 50, 10_000, 200_000] };
const QUICK_GROWTH = { ...FULL_GROWTH, rounds: 2, requests: 1000, warmUp: 3000 };

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    growth: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    contenders: { type: 'string', multiple: true },
    json: { type: 'string' },
    profile: { type: 'string' },
  },
});

const scenarios = choose('scenario', args.growth ? GROWTH : SCENARIOS, args.only);
const peers = choose(
  'peer',
  PEERS.map(({ name }) => name),
  args.contenders,
);
const plan = {
  ...planFor(args),
  peers: PEERS.filter(({ name }) => peers.includes(name)),
  profileInto: args.profile && resolve(args.profile),
};
const machine = {
  node: process.version,
  cpu: cpus()[0].model,
  cores: cpus().length,
  system: process.platform,
  isBusy: loadavg()[0] > 0.3 * cpus().length,
};

installPackage();
console.log(`${machine.cpu}, ${machine.cores} cores, Node.js ${machine.node}, ${machine.system}`);
console.log(
  Object.entries(versions())
    .map((each) => each.join(' '))
    .join(', '),
);
console.log(
  `${args.quick ? 'A quick run: too short for exact figures. ' : ''}Medians of interleaved rounds, each with new` +
    ' processes; each round is compared with bare Express of the same round.' +
    ' In brackets: the lowest and the highest round. Absolute figures are noisy; ratios count.',
);

if (machine.isBusy) console.log('The machine was busy before this run: expect wide brackets.');

const results = {};
for (const name of scenarios) {
  const { title, run } = await import(`./${args.growth ? 'growth' : 'scenarios'}/${name}.js`);
  const start = performance.now();
  const { columns, rows, notes, figures } = await run(plan);
  const seconds = Math.round((performance.now() - start) / 1000);
  results[name] = { title, notes, seconds, figures };
  console.log(`\n${name}: ${title}\n\n${table(columns, rows)}`);
  for (const note of notes) console.log(`  ${note}`);
  console.error(`  (${seconds} s)`);
}

if (!args.growth) {
  const { columns, rows } = compareWithTargets(results);
  console.log(`\ntargets: the limits that this package sets itself\n\n${table(columns, rows)}`);
}

if (args.json) {
  mkdirSync(dirname(resolve(args.json)), { recursive: true });
  writeFileSync(
    args.json,
    toJson({ isQuick: args.quick, machine, versions: versions(), plan: planFor(args), results }),
  );
}

function planFor({ growth, quick }) {
  if (growth) return quick ? QUICK_GROWTH : FULL_GROWTH;
  return quick ? QUICK : FULL;
}

function choose(what, known, only = known) {
  const names = only.flatMap((each) => each.split(','));
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`No such ${what}: ${unknown.join(', ')}. There are ${known.join(', ')}.`);
  return names;
}

/** @returns {Record<string, string>} by package */
function versions() {
  const packages = new Set(['express', 'express-resource-server', ...PEERS.flatMap((peer) => peer.packages)]);
  const versionOf = (name) => {
    const file = new URL(`./node_modules/${name}/package.json`, import.meta.url);
    return JSON.parse(readFileSync(file, 'utf8')).version;
  };
  return Object.fromEntries([...packages].map((name) => [name, versionOf(name)]));
}
