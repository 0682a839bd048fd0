/** 200,000 distinct valid tokens: the memory per cached token, and whether memory stops growing when the cache is full. */
import { Child } from '../harness/child.js';
import { show } from '../harness/stats.js';

export const title = 'Memory (this package, in process)';

/** The default of `cache.maxEntries`. */
const ENTRIES = 10_000;

export async function run({ memoryTokens }) {
  // The second instance has the same issuer on purpose.
  const execArgv = ['--expose-gc', '--disable-warning=ERS_SECOND_INSTANCE'];
  const child = new Child(new URL('../harness/memory-process.js', import.meta.url), { execArgv });
  const { before, samples } = await child.call('run', { total: memoryTokens, entries: ENTRIES, interval: 10_000 });
  await child.end();

  const perToken = (samples[0].bytes - before) / ENTRIES;
  const full = samples.slice(1).map(({ bytes }) => bytes);
  const growth = full.length < 2 ? Number.NaN : full.at(-1) / full[0];
  const mib = (bytes) => show(bytes / 2 ** 20);
  return {
    columns: ['distinct tokens', 'MiB after gc'],
    rows: [['0', mib(before)], ...samples.map(({ tokens, bytes }) => [tokens.toLocaleString('en-US'), mib(bytes)])],
    notes: [
      `${show(perToken)} bytes per cached token (${ENTRIES.toLocaleString('en-US')} of them)`,
      `last sample ${show(growth)} × the first one after the cache was full`,
    ],
    figures: { before, samples, perToken, growth },
  };
}
