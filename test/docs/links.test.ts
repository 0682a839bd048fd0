import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ROOT } from '../support/type-check.js';

const INDEX = 'docs/README.md';
const docs = readdirSync(join(ROOT, 'docs'))
  .filter((file) => file.endsWith('.md'))
  .map((file) => `docs/${file}`);
const pages = ['README.md', 'SECURITY.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...docs];
const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8');

/** A page without its code blocks, in which `#` and brackets have another meaning. */
const withoutFences = (page: string): string => page.replaceAll(/^( *)(```+|~~~+).*?^\1\2.*?$/gms, '');

const withoutCode = (page: string): string => withoutFences(page).replaceAll(/(`+)[^`].*?\1/g, '');

/** The targets of all links: inline ones, with an optional title, and reference definitions. */
function linksOf(page: string): string[] {
  const text = withoutCode(page);
  const inline = text.matchAll(/\]\(\s*<?([^)\s>]*)>?(?:\s+"[^"]*")?\s*\)/g);
  const definitions = text.matchAll(/^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)/gm);
  return [...inline, ...definitions].map(([, target = '']) => target);
}

/** The anchors of a page, as GitHub derives them from its headings; a repeated heading has a number at the end. */
function anchorsOf(page: string): string[] {
  const seen = new Map<string, number>();
  return [...withoutFences(page).matchAll(/^#{1,6} +(.*?) *#*$/gm)].map(([, heading = '']) => {
    const slug = slugOf(heading);
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  });
}

function slugOf(heading: string): string {
  return heading
    .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1') // a link is replaced by its text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
    .replaceAll(' ', '-');
}

/** The reason why a link does not resolve, or `undefined` if it resolves. */
function problemWith(page: string, target: string): string | undefined {
  if (/^(?:https:|mailto:)/.test(target)) return undefined;
  if (/^[a-z][a-z\d+.-]*:|^\//i.test(target)) return 'neither https nor relative';
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? page : relative(ROOT, join(ROOT, dirname(page), decodeURIComponent(path)));
  if (file.startsWith('..')) return 'outside of the repository';
  if (!existsSync(join(ROOT, file))) return 'no such file';
  if (anchor === undefined) return undefined;
  if (!file.endsWith('.md') || !statSync(join(ROOT, file)).isFile()) return 'an anchor in something that is not a page';
  return anchorsOf(read(file)).includes(decodeURIComponent(anchor)) ? undefined : 'no such anchor';
}

describe('the links', () => {
  it.each(pages)('of %s resolve', (page) => {
    const problems = linksOf(read(page)).flatMap((target) => {
      const problem = problemWith(page, target);
      return problem === undefined ? [] : [`${target}: ${problem}`];
    });
    expect(problems).toEqual([]);
  });

  it('are recognized in text only, with their anchors', () => {
    const text = ['[a](b.md#c "title")', '[`d`](<e.md>)', '`[f](g.md)`', '```', '[h](i.md)', '```', '[j]: k.md'];
    expect(linksOf(text.join('\n'))).toEqual(['b.md#c', 'e.md', 'k.md']);
  });

  it('have anchors as GitHub creates them', () => {
    const headings = [
      '# One',
      '```sh',
      '# not a heading',
      '```',
      '## `keys` of [x](y.md)',
      '### The `iss` differs.',
      '# One',
    ];
    expect(anchorsOf(headings.join('\n'))).toEqual(['one', 'keys-of-x', 'the-iss-differs', 'one-1']);
  });

  it('that do not resolve are reported', () => {
    const targets = ['missing.md', '#missing', '../../other/README.md', '/README.md', 'http://example.com/'];
    for (const target of targets) expect(problemWith(INDEX, target)).toBeDefined();
  });
});

it('keeps the README short', () => {
  expect(read('README.md').trim().split(/\s+/).length).toBeLessThanOrEqual(1300);
});

describe.each(docs)('%s', (page) => {
  const [title = '', first = ''] = read(page)
    .split('\n')
    .filter((line) => line.trim() !== '');

  it('states its kind in the first line below its title', () => {
    expect(title).toMatch(/^# \S/);
    expect(first).toMatch(/\b(?:how-to|explanation|reference)\b/i);
  });

  it('states the cost of its feature', () => {
    expect(read(page)).toMatch(/\bcosts?\b/i);
  });

  it('is listed in the index', () => {
    const indexed = linksOf(read(INDEX)).map((target) => join('docs', target));
    expect([INDEX, ...indexed]).toContain(page);
  });
});
