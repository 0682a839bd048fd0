/** 200 tokens in turn, seen before, passed directly to the middleware: its own cost without that of HTTP. */
import { BARE, MAP_LOOKUP, OPAQUE_CACHED, OURS } from '../contenders/index.js';
import { Fleet, freshRounds, TURNS } from '../harness/fleet.js';
import { figure, show, showSpread } from '../harness/stats.js';

const TOKENS = 200;

export const title = `${TOKENS} tokens in turn, seen before (in process)`;

export async function run({ peers, rounds, calls, profileInto }) {
  const fleet = await Fleet.start('RS256', [BARE, MAP_LOOKUP, OURS, OPAQUE_CACHED, ...peers], { profileInto });
  const jwts = await fleet.mint.many(TOKENS);
  // As long as the JWTs, so that creating the header string costs the same.
  const opaque = await fleet.opaqueMint.many(TOKENS, jwts[0].length);
  fleet.setting.tokens = jwts;
  const call = (name, count) => {
    const tokens = name === OPAQUE_CACHED.name ? opaque : jwts;
    return fleet.members.get(name).child.call('call', { tokens, count });
  };
  // As many calls as fit into the time that the fast contenders need for all of theirs.
  const counts = new Map();
  const countFor = async (name) => {
    await call(name, 1000);
    const each = await call(name, 1000);
    return Math.ceil(Math.max(400, Math.min(calls, (calls * 2) / each)) / TURNS);
  };
  const results = await freshRounds(fleet, {
    rounds,
    warmUp: async (name) => {
      if (!counts.has(name)) counts.set(name, await countFor(name));
      await call(name, counts.get(name));
    },
    measure: (name) => call(name, counts.get(name)),
  });
  await fleet.end();

  const perRound = (name) => results.get(name).map((turns) => turns.reduce((sum, each) => sum + each) / TURNS);
  const bare = perRound(BARE.name);
  const added = (name) => figure(perRound(name).map((each, round) => each - bare[round]));
  const measured = fleet.names.filter((name) => name !== BARE.name);
  return {
    columns: ['contender', 'µs CPU per call', '(rounds)'],
    rows: measured.map((name) => [name, show(added(name).median), showSpread(added(name))]),
    notes: [
      'over an empty middleware, which includes making the request and its header string',
      `${OPAQUE_CACHED.name}: with opaque tokens that are as long as the JWTs`,
    ],
    figures: Object.fromEntries(measured.map((name) => [name, { perCall: added(name) }])),
  };
}
