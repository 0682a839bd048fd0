/** What the diagnostics channels cost for a token seen before: nothing listens, and somebody does. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { Fleet, freshRounds } from '../harness/fleet.js';
import { figure, show, showSpread } from '../harness/stats.js';

const DIST = new URL('../node_modules/express-resource-server/dist/', import.meta.url);
const WITHOUT = new URL('../dist-without-channels/', DIST);
const ROUNDS = 15;
/** The fastest of several portions counts: other work of the machine only adds time. */
const PORTIONS = 20;

const define = (name, file = name) => ({
  name,
  role: 'ours',
  packages: ['express-resource-server'],
  algorithms: ['RS256'],
  tokens: 'jwt',
  file: new URL(`../contenders/${file}.js`, import.meta.url).href,
});
const CONTENDERS = [
  define('without-channels'),
  define('nothing-listens', 'express-resource-server'),
  define('subscribed'),
];

export const title = 'a token seen before: nothing listens, compared with a copy without channels (in process)';

export async function run({ calls }) {
  removeChannels();
  const fleet = await Fleet.start('RS256', CONTENDERS);
  const tokens = await fleet.mint.many(200);
  const call = (name, count) => fleet.members.get(name).child.call('call', { tokens, count });
  const fastest = async (name) => {
    const portions = [];
    for (let i = 0; i < PORTIONS; i++) portions.push(await call(name, calls / PORTIONS));
    return Math.min(...portions);
  };
  const results = await freshRounds(fleet, {
    rounds: ROUNDS,
    warmUp: (name) => call(name, calls),
    measure: fastest,
  });
  const { names } = fleet;
  await fleet.end();

  const perCall = (name) => figure(results.get(name));
  const ratio = (name) => perCall(name).min / perCall('without-channels').min;
  return {
    columns: ['contender', 'µs per call', '(rounds)', '× without channels'],
    rows: names.map((name) => [name, show(perCall(name).min), showSpread(perCall(name)), ratio(name).toFixed(3)]),
    notes: ['the fastest portion of all rounds; includes making the request and its header string'],
    figures: Object.fromEntries(names.map((name) => [name, { ratio: ratio(name) }])),
  };
}

/** Copies the package, and removes every call of `publish`: `publish(a, b)` becomes `void(a, b)`. */
function removeChannels() {
  cpSync(DIST, WITHOUT, { recursive: true });
  const file = new URL('core.js', WITHOUT);
  const code = readFileSync(file, 'utf8');
  const changed = code.replaceAll(/(?<![.\w$]|function )publish\(/g, 'void(');
  if (changed === code) throw new Error('The package publishes nothing.');
  writeFileSync(file, changed);
}
