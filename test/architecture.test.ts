import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** From top to bottom: a folder imports from itself and from folders below it. Files of lib itself are the base. */
const FOLDERS = ['express', 'verify', 'proof', 'issuer', 'store', 'token', 'util', ''];
/** Sub-exports: they may import every folder, and no folder imports them. */
const SUB_EXPORTS = ['testing', 'opentelemetry', 'mcp', 'cli'];
/** What users import: these files only re-export. */
const ENTRY_POINTS = ['index.ts', 'augment.ts'];
/** Where a package may be imported, types included. */
const ALLOWED_IMPORTERS: Readonly<Record<string, RegExp>> = {
  express: /^express\//,
  redis: /^store\/redis\.ts$/,
  '@redis/client': /^store\/redis\.ts$/,
  '@opentelemetry/api': /^opentelemetry\//,
};
/** The only file that reads the environment: it must not work outside tests. */
const READS_ENVIRONMENT = 'testing/fake-auth.ts';
/** Packages whose code the build includes. Users do not install them, so no declaration may import them. */
const BUNDLED = ['jose', 'node-cache'];
const MAX_LINES = 300;

interface Target {
  readonly types: string;
  readonly default: string;
}

interface PackageJson {
  readonly exports: Readonly<Record<string, string | Readonly<Record<'import' | 'require', Target>>>>;
  readonly typesVersions: unknown;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

const packageJson = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as PackageJson;

const files = readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.split(sep).join('/'));

/** The violations of one file of lib: `file` is its path there, with `/`. */
function violations(file: string, source: string): string[] {
  const imports = ts.preProcessFile(source, true, true).importedFiles.map(({ fileName }) => fileName);
  const found = imports.flatMap((specifier) => importViolation(file, specifier) ?? []);
  if (file !== READS_ENVIRONMENT && readsEnvironment(file, source)) found.push(`${file} reads the environment`);
  const lines = source.split('\n').length - 1;
  if (lines > MAX_LINES) found.push(`${file} has ${lines} lines`);
  return found;
}

function importViolation(file: string, specifier: string): string | undefined {
  const isAllowed = specifier.startsWith('.')
    ? mayImportFile(
        file,
        relative('/', join('/', dirname(file), specifier))
          .split(sep)
          .join('/'),
      )
    : mayImportPackage(file, specifier);
  return isAllowed ? undefined : `${file} imports ${specifier}`;
}

function mayImportFile(from: string, to: string): boolean {
  if (to.startsWith('..')) return false;
  const [fromFolder, toFolder] = [folderOf(from), folderOf(to)];
  if (fromFolder === toFolder && fromFolder !== '') return true;
  // `util` has no domain knowledge.
  if (fromFolder === 'util') return to === 'errors.js';
  // The command uses the test kit's issuer with a token endpoint.
  if (fromFolder === 'cli' && toFolder === 'testing') return true;
  if (SUB_EXPORTS.includes(toFolder)) return false;
  if (ENTRY_POINTS.includes(to.replace(/\.js$/, '.ts'))) return SUB_EXPORTS.includes(fromFolder);
  if (ENTRY_POINTS.includes(from) || SUB_EXPORTS.includes(fromFolder)) return true;
  const [fromHeight, toHeight] = [FOLDERS.indexOf(fromFolder), FOLDERS.indexOf(toFolder)];
  return fromHeight >= 0 && toHeight >= fromHeight;
}

function folderOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : '';
}

function mayImportPackage(from: string, specifier: string): boolean {
  if (specifier.startsWith('node:')) return true;
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const place = ALLOWED_IMPORTERS[name];
  if (place !== undefined && !place.test(from)) return false;
  const { peerDependencies } = packageJson;
  return BUNDLED.includes(name) || name in peerDependencies;
}

function readsEnvironment(file: string, source: string): boolean {
  let found = false;
  const visit = (node: ts.Node): void => {
    const isProperty = ts.isPropertyAccessExpression(node) && node.name.text === 'env';
    const isElement =
      ts.isElementAccessExpression(node) &&
      ts.isStringLiteralLike(node.argumentExpression) &&
      node.argumentExpression.text === 'env';
    const isImported = ts.isImportSpecifier(node) && (node.propertyName ?? node.name).text === 'env';
    const isTakenOut =
      ts.isBindingElement(node) && (node.propertyName ?? node.name).getText() === 'env' && source.includes('process');
    if (isProperty || isElement || isImported || isTakenOut) found = true;
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, source, ts.ScriptTarget.ES2022, true));
  return found;
}

describe('the folders of lib', () => {
  it.each(files)('%s follows the rules of its folder', (file) => {
    expect(violations(file, readFileSync(join(ROOT, 'lib', file), 'utf8'))).toEqual([]);
  });

  it.each(files.map(folderOf).filter((folder, i, all) => all.indexOf(folder) === i))(
    '"%s" is a folder of the list',
    (folder) => {
      expect([...FOLDERS, ...SUB_EXPORTS]).toContain(folder);
    },
  );
});

describe('the architecture check', () => {
  it.each([
    ['options in util', 'util/url.ts', "import { text } from '../options.js';"],
    ['a folder above', 'token/claims.ts', "import { jwtVerifier } from '../verify/jwt.js';"],
    [
      'the type of a folder above',
      'issuer/key-set.ts',
      "import type { TokenVerifier } from '../verify/token-verifier.js';",
    ],
    [
      'a type of a folder above in an import type',
      'store/store.ts',
      "let keys: import('../issuer/key-set.js').KeySet;",
    ],
    ['a dynamic import of a folder above', 'store/replay-cache.ts', "await import('../proof/policy.js');"],
    ['a re-export of a folder above', 'errors.ts', "export * from './token/claims.js';"],
    ['index.ts', 'verify/jwt.ts', "import { bearer } from '../index.js';"],
    ['a sub-export', 'express/bearer.ts', "import { TestIssuer } from '../testing/issuer.js';"],
    ['a sub-export from another', 'mcp/index.ts', "import { TestIssuer } from '../testing/issuer.js';"],
    ['a sub-export in index.ts', 'index.ts', "export { TestIssuer } from './testing/issuer.js';"],
    ['a file outside lib', 'verify/jwt.ts', "import { serve } from '../../test/helpers.js';"],
    ['Express outside lib/express', 'verify/jwt.ts', "import express from 'express';"],
    ['types of Express outside lib/express', 'token/credentials.ts', "import type { Request } from 'express';"],
    ['Redis outside its file', 'store/replay-cache.ts', "import type { RedisClientType } from 'redis';"],
    ['a package that is not a dependency', 'verify/jwt.ts', "import jwt from 'some-other-package';"],
    ['a development dependency', 'verify/jwt.ts', "import { expect } from '@jest/globals';"],
  ])('reports %s', (_, file, source) => {
    expect(violations(file, source)).toEqual([expect.stringMatching(/ imports /)]);
  });

  it.each([
    ['by name', 'const { TOKEN } = process.env;'],
    ['by index', "const token = process['env'].TOKEN;"],
    ['by import', "import { env as settings } from 'node:process';"],
    ['by destructuring', 'const { env } = process;'],
  ])('reports a read of the environment %s', (_, source) => {
    expect(violations('options.ts', source)).toEqual(['options.ts reads the environment']);
  });

  it('reports a file that is too long', () => {
    expect(violations('options.ts', '\n'.repeat(MAX_LINES + 1))).toEqual(['options.ts has 301 lines']);
  });

  it('allows a folder to import itself and the folders below it', () => {
    const source = `
      import type { Request } from 'express';
      import { createHash } from 'node:crypto';
      import { getAuth } from './auth.js';
      import { jwtVerifier } from '../verify/jwt.js';
      import { ConfigurationError } from '../errors.js';
    `;
    expect(violations('express/gates.ts', source)).toEqual([]);
  });
});

describe('the exports of package.json', () => {
  it('are not imported by files of lib, except for sub-exports', () => {
    const known = ['.', './augment', './testing', './opentelemetry', './mcp', './package.json'];
    expect(Object.keys(packageJson.exports).filter((name) => !known.includes(name))).toEqual([]);
  });

  it.each(Object.entries(packageJson.exports))('%s points to a file that is built from lib', (name, target) => {
    if (typeof target === 'string') {
      expect(target).toBe('./package.json');
      return;
    }
    const entry = name === '.' ? 'index' : name.slice(2);
    expect(target).toEqual({
      import: { types: `./dist/${entry}.d.ts`, default: `./dist/${entry}.js` },
      require: { types: `./dist/${entry}.d.cts`, default: `./dist/${entry}.cjs` },
    });
    const source = ENTRY_POINTS.includes(`${entry}.ts`) ? `${entry}.ts` : `${entry}/index.ts`;
    expect(files).toContain(source);
    if (name !== '.') expect(packageJson.typesVersions).toHaveProperty(['*', entry], [`dist/${entry}.d.cts`]);
  });
});
