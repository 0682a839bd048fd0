/**
 * Writes the measured parts of docs/performance.md and the page of plots, from the results of two runs:
 *
 *   npm run bench -- --json bench/results/main.json
 *   npm run bench -- --growth --json bench/results/growth.json
 *   npm run bench:report
 *
 * With `--check`, it only reports the files that differ from what it would write.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { blocksOf } from './report/blocks.js';
import { fill } from './report/page.js';
import { plotsOf } from './report/plots.js';

const { values: args } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    results: { type: 'string', default: fileURLToPath(new URL('./results/', import.meta.url)) },
    page: { type: 'string', default: fileURLToPath(new URL('../docs/performance.md', import.meta.url)) },
  },
});

const read = (name) => JSON.parse(readFileSync(`${args.results}/${name}.json`, 'utf8'));
const [main, growth] = [read('main'), read('growth')];
const files = {
  [args.page]: fill(readFileSync(args.page, 'utf8'), blocksOf(main, growth)),
  [`${args.results}/plots.svg`]: plotsOf(main, growth),
};

for (const [file, text] of Object.entries(files)) {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
  if (args.check) {
    console.error(`${file} is not what the results say: run "npm run bench:report"`);
    process.exitCode = 1;
  } else {
    writeFileSync(file, text);
    console.log(`wrote ${file}`);
  }
}
