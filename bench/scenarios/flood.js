/**
 * A flood of invalid tokens, while 5 % of the requests are valid, with tokens seen before. Cost is measured at the
 * speed of the server; latency at a steady rate that bare Express can serve easily, with and without the flood.
 */
import { BARE, OURS } from '../contenders/index.js';
import { COST_COLUMNS, costCells, costsOf, ratioToBare } from '../harness/compare.js';
import { combine, Fleet, freshRounds, TURNS } from '../harness/fleet.js';
import { pace, saturate } from '../harness/load.js';
import { figure, percentile, show, showSpread } from '../harness/stats.js';

const VALID_ONE_IN = 20;
const VALID_TOKENS = 20;
/** The share of what bare Express can serve. */
const LATENCY_LOAD = 0.25;

/**
 * @param {object} plan
 * @param {import('../contenders/index.js').Contender} yardstick
 * @param {(mint: import('../harness/tokens.js').Mint, count: number) => Promise<string[]>} makeBad
 */
export async function flood(plan, yardstick, makeBad) {
  const { peers, rounds, requests, warmUp, latencySeconds, profileInto } = plan;
  const fleet = await Fleet.start('RS256', [BARE, yardstick, OURS, ...peers], { profileInto });
  const good = await fleet.mint.many(VALID_TOKENS);
  fleet.setting.tokens = good;
  const rate = Math.round((await speedOfBare(fleet, good, warmUp)) * LATENCY_LOAD);
  const paced = Math.round(rate * latencySeconds);
  // Each process receives each invalid token once, because it is new in each round.
  const bad = await makeBad(fleet.mint, warmUp + requests + paced);
  const valid = (i) => ({ token: good[i % good.length], isValid: true });
  const mixed = (first) => (i) =>
    i % VALID_ONE_IN === 0 ? valid(i / VALID_ONE_IN) : { token: bad[first + i], isValid: false };

  const [portion, count] = [warmUp, requests].map((each) => Math.ceil(each / TURNS));
  const send = (name, first, size) =>
    fleet.measure(name, (server) => saturate({ server, count: size, next: mixed(first) }));
  const turns = await freshRounds(fleet, {
    rounds,
    warmUp: (name, turn) => send(name, turn * portion, portion),
    measure: async (name, turn) => {
      const fast = await send(name, warmUp + turn * count, count);
      if (turn < TURNS - 1) return fast;
      // In the last turn, while the process is still warm.
      const slow = { rate: rate / VALID_ONE_IN, count: Math.round(paced / VALID_ONE_IN), next: valid };
      const calm = await fleet.measure(name, (server) => pace({ server, ...slow }));
      const steady = { rate, count: paced, next: mixed(warmUp + requests) };
      return { ...fast, calm, flooded: await fleet.measure(name, (server) => pace({ server, ...steady })) };
    },
  });
  const resultOf = (round) => ({ ...round.at(-1), ...combine(round) });
  const results = new Map([...turns].map(([name, each]) => [name, each.map(resultOf)]));
  await fleet.end();
  return report(results, yardstick, { rate, sent: rounds * (requests + paced) });
}

async function speedOfBare(fleet, good, count) {
  const load = (server) => saturate({ server, count, next: (i) => ({ token: good[i % good.length], isValid: true }) });
  await fleet.measure(BARE.name, load);
  return (await fleet.measure(BARE.name, load)).perSecond;
}

const p99 = ({ latencies }) => percentile(latencies, 0.99);

function report(results, yardstick, { rate, sent }) {
  const costs = costsOf(results, yardstick.name);
  const figures = Object.fromEntries(
    [...results].map(([name, rounds]) => {
      const parts = rounds.flatMap((round) => [round, round.calm, round.flooded]);
      const total = (key) => parts.reduce((sum, part) => sum + part[key], 0);
      return [
        name,
        {
          ...costs[name],
          p99Ms: figure(rounds.map(({ flooded }) => p99(flooded))),
          p99TimesCalm: figure(rounds.map(({ calm, flooded }) => p99(flooded) / p99(calm))),
          p99TimesBare: ratioToBare(results, name, ({ flooded }) => p99(flooded)),
          jwksRequests: total('jwksRequests'),
          surprises: name === BARE.name ? 0 : total('surprises'),
        },
      ];
    }),
  );
  return {
    columns: [
      ...['contender', ...COST_COLUMNS, 'p99 ms', '× without flood', '(rounds)', '× bare', '(rounds)'],
      ...['JWKS requests', 'surprises'],
    ],
    rows: Object.entries(figures).map(([name, { p99Ms, p99TimesCalm, p99TimesBare, ...counts }]) => [
      name,
      ...costCells(costs, name),
      show(p99Ms.median),
      ...[p99TimesCalm, p99TimesBare].flatMap((each) => [show(each.median), showSpread(each)]),
      counts.jwksRequests.toLocaleString('en-US'),
      `${counts.surprises}`,
    ]),
    notes: [
      `CPU per request of the mix, of which ${100 / VALID_ONE_IN} % are valid`,
      `p99 of the valid requests, at ${rate.toLocaleString('en-US')} requests/s; without the flood, at 5 % of that`,
      `JWKS requests during about ${sent.toLocaleString('en-US')} requests per contender, without warm-up`,
      'surprises: valid requests rejected, invalid ones accepted or connections lost',
    ],
    figures,
  };
}
