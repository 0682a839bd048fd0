import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BENCH = dirname(dirname(fileURLToPath(import.meta.url)));
const MODULES = join(BENCH, 'node_modules');

/** Installs the package of this repository as its users do: packed, and unpacked next to its peers. */
export function installPackage() {
  const root = dirname(BENCH);
  checkBuild(root);
  const temporary = mkdtempSync(join(tmpdir(), 'bench-'));
  const target = join(MODULES, 'express-resource-server');
  try {
    const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', temporary];
    execFileSync('npm', args, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] });
    const [tarball] = readdirSync(temporary);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target, { recursive: true });
    execFileSync('tar', ['-xzf', join(temporary, tarball), '-C', target, '--strip-components=1']);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** The built package is measured, so it must be that of the present source. */
function checkBuild(root) {
  const built = join(root, 'dist', 'index.js');
  if (!existsSync(built)) throw new Error('There is no dist: run "npm run build" first.');
  const { mtimeMs } = statSync(built);
  const sources = readdirSync(join(root, 'lib'), { recursive: true }).map((file) => join(root, 'lib', file));
  const changed = sources.find((file) => statSync(file).isFile() && statSync(file).mtimeMs > mtimeMs);
  if (changed !== undefined) throw new Error(`${changed} is newer than dist: run "npm run build" first.`);
}

/**
 * The packages that an application installs for these: themselves and their dependencies, without Express.
 *
 * @param {string[]} names
 */
export function installedSize(names) {
  const folders = new Set();
  const open = names.map((name) => ({ name, from: BENCH }));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const folder = locate(next.name, next.from);
    if (folder === undefined || folders.has(folder)) continue;
    folders.add(folder);
    const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    open.push(...Object.keys(dependencies).map((name) => ({ name, from: folder })));
  }
  const bytes = [...folders].reduce((sum, folder) => sum + sizeOf(folder), 0);
  return { kib: bytes / 1024, packages: folders.size };
}

// The search of Node.js: upwards, from the dependent package.
function locate(name, from) {
  for (let folder = from; folder !== dirname(folder); folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(candidate)) return realpathSync(candidate);
  }
  return undefined;
}

function sizeOf(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => name !== 'node_modules')
    .map((entry) => (entry.isDirectory() ? sizeOf(join(folder, entry.name)) : statSync(join(folder, entry.name)).size))
    .reduce((sum, size) => sum + size, 0);
}
