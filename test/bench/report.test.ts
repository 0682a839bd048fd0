import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { ROOT } from '../support/type-check.js';

const RESULTS = join(ROOT, 'bench/results');
const PAGE = join(ROOT, 'docs/performance.md');
const folder = mkdtempSync(join(tmpdir(), 'report-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Runs the report: its exit code, and what it printed. */
function report(...args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(ROOT, 'bench/report.js'), ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
    });
  });
}

/** A copy of the results and the page, for a test that changes them. */
function copy(): { readonly page: string; readonly plots: string; readonly args: readonly string[] } {
  const results = mkdtempSync(join(folder, 'results-'));
  cpSync(RESULTS, results, { recursive: true });
  const page = join(results, 'page.md');
  cpSync(PAGE, page);
  return { page, plots: join(results, 'plots.svg'), args: ['--results', results, '--page', page] };
}

const read = (file: string): string => readFileSync(file, 'utf8');

describe('the report of the benchmark', () => {
  it('finds in docs/performance.md and in the plots the figures of the committed results', async () => {
    expect(await report('--check')).toEqual({ code: 0, output: '' });
  });

  it('reports and replaces a figure that was typed by hand', async () => {
    const { page, args } = copy();
    const original = read(page);
    writeFileSync(page, original.replace(/adds [\d.]+ µs/, 'adds 0.1 µs'));
    const { code, output } = await report('--check', ...args);
    expect([code, output]).toEqual([1, expect.stringContaining('is not what the results say')]);
    expect((await report(...args)).code).toBe(0);
    expect(read(page)).toBe(original);
  });

  it('reports and replaces plots of other results', async () => {
    const { plots, args } = copy();
    const original = read(plots);
    writeFileSync(plots, original.replace('<rect', '<rect id="a"'));
    expect((await report('--check', ...args)).code).toBe(1);
    expect((await report(...args)).code).toBe(0);
    expect(read(plots)).toBe(original);
  });

  it('rejects a page without one of its blocks', async () => {
    const { page, args } = copy();
    writeFileSync(page, read(page).replace('<!-- bench: growth -->', ''));
    const { code, output } = await report(...args);
    expect([code, output]).toEqual([1, expect.stringContaining('The page has no block growth')]);
  });
});

describe('the plots', () => {
  const svg = read(join(RESULTS, 'plots.svg'));

  it('are small, and load nothing', () => {
    expect(Buffer.byteLength(svg)).toBeLessThan(40_000);
    expect(svg).not.toMatch(/<script|<image|href=|url\(|@import/);
  });

  it('have a place for each value', () => {
    expect(svg).not.toMatch(/NaN|undefined|null|Infinity/);
  });
});
