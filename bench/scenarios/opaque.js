/** Opaque tokens: what a remembered one costs beside a remembered JWT, and beside asking about it each time. */
import { OPAQUE_CONTENDERS } from '../contenders/index.js';
import { addedCpu, ratioToBare } from '../harness/compare.js';
import { Fleet, interleave, warm } from '../harness/fleet.js';
import { saturate } from '../harness/load.js';
import { figure, show, showSpread } from '../harness/stats.js';

export const title = '200 opaque tokens in turn, seen before (in process; and HTTP, 50 connections)';

const TOKENS = 200;
const FLEETS = 5;
const BARE = 'bare';
const JWT = 'express-resource-server';
const REMEMBERED = 'opaque-remembered';
const NAIVE = 'opaque-naive';

export async function run(plan) {
  const calls = await inProcess(plan);
  const http = await overHttp(plan);
  const bytes = (kind) => `${calls[kind].bytes} bytes`;
  const times = (value) => `${show(value)} ×`;
  const factor = (each) => `${times(each.median)} (${showSpread(each)})`;
  return {
    columns: ['', 'µs per call', '(rounds)', 'µs CPU added', '(rounds)', 'throughput × bare', '(rounds)', 'questions'],
    rows: [
      [`remembered JWT, ${bytes('jwt')}`, ...callCells(calls.jwt), ...Array(5).fill('–')],
      [`remembered, ${bytes('long')}`, ...callCells(calls.long), ...Array(5).fill('–')],
      [`remembered, ${bytes('opaque')}`, ...callCells(calls.opaque), ...httpCells(http[REMEMBERED])],
      [`naive, ${bytes('opaque')}`, '–', '–', ...httpCells(http[NAIVE])],
    ],
    notes: [
      'µs per call: in process, over an empty middleware with the same header strings; the rest over HTTP, and bare Express',
      `a remembered opaque token costs ${times(calls.ratio)} a remembered JWT; one as long as the JWT ${times(calls.ratioOfLong)}`,
      `a request by the naive middleware costs ${factor(http.cpuFactor)} the CPU of one with a remembered token, Express and all, for ${factor(http.throughputFactor)} the throughput`,
      `questions: introspection requests during ${http.served.toLocaleString('en-US')} requests, without warm-up`,
    ],
    figures: { calls, http },
  };
}

function startFleet(names, profileInto) {
  const contenders = OPAQUE_CONTENDERS.filter(({ name, role }) => role === 'bare' || names.includes(name));
  return Fleet.start('RS256', contenders, { profileInto });
}

/** Each kind beside an empty middleware that gets the same tokens: reading a longer header is not what is compared. */
async function inProcess({ calls, callRounds, profileInto }) {
  const fleet = await startFleet([JWT, REMEMBERED], profileInto);
  const jwts = await fleet.mint.many(TOKENS);
  const opaque = await fleet.opaqueMint.many(TOKENS);
  const long = await fleet.opaqueMint.many(TOKENS, jwts[0].length);
  const kinds = new Map([
    ['jwt', { by: JWT, tokens: jwts }],
    ['opaque', { by: REMEMBERED, tokens: opaque }],
    ['long', { by: REMEMBERED, tokens: long }],
  ]);
  const call = (name, tokens, count) => fleet.members.get(name).child.ask('call', { tokens, count });
  const measure = async (kind, count) => {
    const { by, tokens } = kinds.get(kind);
    const empty = await call(BARE, tokens, count);
    return (await call(by, tokens, count)) - empty;
  };
  const names = [...kinds.keys()];
  await interleave(names, 3, (kind) => measure(kind, calls));
  const results = await interleave(names, callRounds, (kind) => measure(kind, calls));
  await fleet.end();

  const figures = Object.fromEntries(
    names.map((kind) => [kind, { bytes: kinds.get(kind).tokens[0].length, perCall: figure(results.get(kind)) }]),
  );
  const timesJwt = (kind) => figures[kind].perCall.median / figures.jwt.perCall.median;
  return { ...figures, ratio: timesJwt('opaque'), ratioOfLong: timesJwt('long') };
}

/**
 * With new processes several times over: two that do the same can differ all their lives by more than a remembered
 * token costs.
 */
async function overHttp({ rounds, requests, warmUp, profileInto }) {
  const results = new Map([BARE, REMEMBERED, NAIVE].map((name) => [name, []]));
  for (let i = 0; i < FLEETS; i++) {
    const fleet = await startFleet([REMEMBERED, NAIVE], profileInto);
    const some = await roundsOf(fleet, { rounds: Math.ceil(rounds / FLEETS), requests, warmUp });
    await fleet.end();
    for (const [name, each] of some) results.get(name).push(...each);
  }
  const of = (name) => ({
    addedCpu: addedCpu(results, name),
    throughput: ratioToBare(results, name, ({ perSecond }) => perSecond),
    questions: sum(results.get(name), 'questions'),
  });
  const naiveTimes = (read) =>
    figure(results.get(NAIVE).map((each, round) => read(each) / read(results.get(REMEMBERED)[round])));
  return {
    [REMEMBERED]: of(REMEMBERED),
    [NAIVE]: of(NAIVE),
    served: sum(results.get(REMEMBERED), 'served'),
    cpuFactor: naiveTimes(({ cpu }) => cpu),
    throughputFactor: naiveTimes(({ perSecond }) => perSecond),
  };
}

async function roundsOf(fleet, { rounds, requests, warmUp }) {
  const tokens = await fleet.opaqueMint.many(TOKENS);
  const load = (count) => (port) =>
    saturate({ port, count, next: (i) => ({ token: tokens[i % TOKENS], isValid: true }) });
  await warm(fleet.names, warmUp, (name, count) => fleet.measure(name, load(count)));
  return interleave(fleet.names, rounds, async (name) => {
    const before = await fleet.introspections();
    const result = await fleet.measure(name, load(requests));
    if (result.surprises > 0) throw new Error(`${name} refused ${result.surprises} valid tokens`);
    return { ...result, questions: (await fleet.introspections()) - before };
  });
}

const sum = (results, name) => results.reduce((total, result) => total + result[name], 0);

const callCells = ({ perCall }) => [show(perCall.median), showSpread(perCall)];

const httpCells = ({ addedCpu: cpu, throughput, questions }) => [
  ...[cpu, throughput].flatMap((each) => [show(each.median), showSpread(each)]),
  questions.toLocaleString('en-US'),
];
