/**
 * Bundles lib into dist: ES modules and CommonJS, each with its declarations. All entries of one format are bundled in one
 * pass, so that they share the code that they have in common: a second copy of it would be a second state.
 *
 * jose is ESM only, so the CommonJS files contain the parts of it that are used. The ES modules contain them too, and both
 * contain node-cache: one file loads faster than forty.
 */
import { existsSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import commonjs from '@rollup/plugin-commonjs';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import { minify } from '@swc/core';
import { dts } from 'rollup-plugin-dts';
import ts from 'typescript';

const { dependencies = {}, peerDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const packages = [...Object.keys(dependencies), ...Object.keys(peerDependencies)];
const isExternal = (id) => isBuiltin(id) || packages.some((name) => id === name || id.startsWith(`${name}/`));

const ENTRIES = {
  index: 'lib/index.ts',
  augment: 'lib/augment.ts',
  testing: 'lib/testing/index.ts',
  mcp: 'lib/mcp/index.ts',
  opentelemetry: 'lib/opentelemetry/index.ts',
  cli: 'lib/cli/main.ts',
};
const entries = Object.entries(ENTRIES).filter(([, file]) => existsSync(file));
// No project imports the command.
const importable = entries.filter(([name]) => name !== 'cli');

const compilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  removeComments: true,
};

const output = (format, extension) => ({
  dir: 'dist',
  format,
  entryFileNames: `[name]${extension}`,
  chunkFileNames: ({ name }) => `${name.replace(/\.d$/, '')}${extension}`,
  interop: 'default',
  paths: (id) => (isBuiltin(id) && !id.startsWith('node:') ? `node:${id}` : id),
  exports: 'named',
  generatedCode: 'es2015',
});

/** Removes the types and comments; `npm run types` checks the types. */
const typescript = {
  name: 'typescript',
  resolveId: (id, importer) =>
    id.startsWith('.') && importer?.endsWith('.ts') ? join(dirname(importer), id.replace(/\.js$/, '.ts')) : undefined,
  transform: (text, id) =>
    id.endsWith('.ts') ? { code: ts.transpileModule(text, { compilerOptions }).outputText, map: null } : undefined,
};

/**
 * jose expects globals that are absent in jsdom, and without them every token was rejected. Node has modules with the same
 * values.
 */
const nodeGlobals = {
  name: 'node-globals',
  transform: (text, id) => {
    if (!id.includes('/node_modules/jose/')) return undefined;
    const imports = Object.entries({
      crypto: "{ webcrypto as crypto } from 'node:crypto'",
      TextEncoder: "{ TextEncoder } from 'node:util'",
      TextDecoder: "{ TextDecoder } from 'node:util'",
      atob: "{ atob } from 'node:buffer'",
      btoa: "{ btoa } from 'node:buffer'",
      structuredClone: `{ cloneValue as structuredClone } from '${join(import.meta.dirname, 'lib/util/clone-value.ts')}'`,
    });
    const used = imports.filter(([name]) => new RegExp(`\\b${name}\\b`).test(text));
    return { code: used.map(([, each]) => `import ${each};\n`).join('') + text, map: null };
  },
};

/**
 * Removes comments and white space, and shortens the names of variables. Functions and classes keep their
 * names, and every statement has a line of its own, so that stack traces and breakpoints are still of use.
 */
const compact = {
  name: 'compact',
  async renderChunk(text, { fileName }) {
    const isModule = fileName.endsWith('.js');
    const names = { keep_classnames: true, keep_fnames: true };
    const { code } = await minify(text, {
      compress: { ...names, passes: 3, toplevel: true },
      mangle: { ...names, toplevel: true },
      module: isModule,
      ecma: 2022,
    });
    const source = ts.createSourceFile(fileName, code, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
    const starts = [];
    const visit = (node) => {
      const { parent } = node;
      const isLine = ts.isSourceFile(parent) || ts.isBlock(parent) || ts.isClassLike(parent);
      if (isLine && (ts.isStatement(node) || ts.isClassElement(node))) starts.push(node.getStart(source));
      ts.forEachChild(node, visit);
    };
    ts.forEachChild(source, visit);
    const lines = starts.map((start, i) => code.slice(start, starts[i + 1]));
    return { code: `${code.slice(0, starts[0])}${lines.join('\n')}\n`, map: null };
  },
};

/** Writes the licence and the version of every package whose code the files contain. */
function licences(fileName) {
  return {
    name: 'licences',
    generateBundle(_, bundle) {
      const modules = Object.values(bundle).flatMap(({ modules }) => Object.keys(modules ?? {}));
      const folders = modules.flatMap((id) => /^\0?(.*\/node_modules\/(?:@[^/]+\/)?[^/?]+)/.exec(id)?.[1] ?? []);
      const texts = [...new Set(folders)].sort().map((folder) => {
        const { name, version } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
        const file = ['LICENSE.md', 'LICENSE', 'LICENSE.txt'].find((each) => existsSync(`${folder}/${each}`));
        if (file === undefined) throw new Error(`${name} has no licence text`);
        return `${name} ${version}\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`;
      });
      const head = 'The files of this folder contain code of these packages.\n';
      this.emitFile({ type: 'asset', fileName, source: [head, ...texts].join('\n') });
    },
  };
}

/** Fails the build if a declaration needs a package that users do not have. */
const onlyKnownImports = {
  name: 'only-known-imports',
  generateBundle(_, bundle) {
    const own = Object.keys(bundle);
    for (const [file, { imports = [] }] of Object.entries(bundle)) {
      for (const id of imports) {
        if (!own.includes(id) && !isExternal(id)) throw new Error(`${file} imports ${id}`);
      }
    }
  },
};

/**
 * Exports declarations where they are declared, and not in a list at the end: TypeScript before 5.4 cannot name a type that
 * is exported by a list, so `declaration: true` failed in projects that export a middleware.
 */
const exportedInPlace = {
  name: 'exported-in-place',
  renderChunk(text, { fileName }) {
    const source = ts.createSourceFile(fileName, text, ts.ScriptTarget.ES2022, true);
    const declared = new Map(
      source.statements.flatMap((each) => (each.name === undefined ? [] : [[each.name.text, each]])),
    );
    const starts = [];
    const lists = [];
    for (const list of source.statements.filter((each) => ts.isExportDeclaration(each) && !each.moduleSpecifier)) {
      const isValue = ({ kind }) =>
        ![ts.SyntaxKind.InterfaceDeclaration, ts.SyntaxKind.TypeAliasDeclaration].includes(kind);
      const others = list.exportClause.elements.filter(({ name, propertyName }) => {
        const found = propertyName === undefined ? declared.get(name.text) : undefined;
        if (found === undefined || (list.isTypeOnly && isValue(found))) return true;
        starts.push(found.getStart(source));
        return false;
      });
      const names = others.map((each) => each.getText(source)).join(', ');
      if (others.length > 0) lists.push(`export ${list.isTypeOnly ? 'type ' : ''}{ ${names} };`);
      text = blank(text, list.getStart(source), list.end);
    }
    for (const start of starts.sort((a, b) => b - a)) text = `${text.slice(0, start)}export ${text.slice(start)}`;
    // Without an export list, all declarations of the file are exported.
    return { code: `${text.trimEnd()}\n${lists.length > 0 ? lists.join('\n') : 'export {};'}\n`, map: null };
  },
};

const blank = (text, start, end) => text.slice(0, start) + ' '.repeat(end - start) + text.slice(end);

/** ES modules have the declarations of CommonJS: one type for each class, and half the size. */
const moduleDeclarations = {
  name: 'module-declarations',
  generateBundle() {
    for (const [name] of importable) {
      this.emitFile({ type: 'asset', fileName: `${name}.d.ts`, source: `export * from './${name}.cjs';\n` });
    }
  },
};

const common = {
  external: isExternal,
  onwarn: (warning) => {
    // augment has types only.
    if (warning.code === 'EMPTY_BUNDLE') return;
    throw new Error(warning.message);
  },
};

// What most programs load is one file; the entries and the code of the sub-exports are others.
const SEPARATE = /\/lib\/(?:index|augment)\.ts$|\/lib\/(?:testing|opentelemetry|mcp|cli)\//;
const manualChunks = (id) => (SEPARATE.test(id) ? undefined : 'core');

const plugins = [
  typescript,
  nodeGlobals,
  nodeResolve({ preferBuiltins: true }),
  commonjs(),
  compact,
  licences('THIRD-PARTY-LICENSES.txt'),
  onlyKnownImports,
];

export default [
  { ...common, input: Object.fromEntries(entries), plugins, output: { ...output('es', '.js'), manualChunks } },
  { ...common, input: Object.fromEntries(importable), plugins, output: { ...output('cjs', '.cjs'), manualChunks } },
  {
    ...common,
    external: (id) => !id.startsWith('.') && !id.startsWith('/') && !id.startsWith('lib/'),
    input: Object.fromEntries(importable),
    plugins: [dts({ tsconfig: 'tsconfig.build.json' }), exportedInPlace, onlyKnownImports, moduleDeclarations],
    output: { ...output('es', '.d.cts'), minifyInternalExports: false },
  },
];
