/** 200 tokens in turn, seen before, passed directly to the middleware: its own cost without that of HTTP. */
import { Fleet, interleave } from '../harness/fleet.js';
import { figure, show, showSpread } from '../harness/stats.js';

export const title = '200 tokens in turn, seen before (in process)';

export async function run({ contenders, callRounds, calls, profileInto }) {
  const fleet = await Fleet.start('RS256', contenders, { profileInto });
  const tokens = await fleet.mint.many(200);
  const call = (name, count) => fleet.members.get(name).child.call('call', { tokens, count });
  // As many calls as fit into the time that the fast contenders need for all of theirs.
  const counts = new Map();
  for (const name of fleet.names) {
    await call(name, 1000);
    const each = await call(name, 1000);
    counts.set(name, Math.max(400, Math.min(calls, Math.round((calls * 2) / each))));
    await call(name, counts.get(name));
  }
  const results = await interleave(fleet.names, callRounds, (name) => call(name, counts.get(name)));
  await fleet.end();

  const added = (name) => figure(results.get(name).map((each, round) => each - results.get('bare')[round]));
  const measured = fleet.names.filter((name) => name !== 'bare');
  return {
    columns: ['contender', 'µs per call', '(rounds)'],
    rows: measured.map((name) => [name, show(added(name).median), showSpread(added(name))]),
    notes: ['over an empty middleware, which includes making the request and its header string'],
    figures: Object.fromEntries(measured.map((name) => [name, { perCall: added(name) }])),
  };
}
