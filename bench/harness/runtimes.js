import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TOOLS } from '../../test/projects/projects.js';

const FOLDER = join(tmpdir(), 'bench-node');

/**
 * The versions of Node.js that the tests use, from packages that contain the binary for Linux on x64. They stay in a
 * temporary folder for the next run.
 *
 * @returns {Promise<{ major: string, execPath: string }[]>}
 */
export async function otherRuntimes() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return [];
  const dependencies = Object.fromEntries(Object.entries(TOOLS).filter(([name]) => /^node\d+$/.test(name)));
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, 'package.json'), JSON.stringify({ private: true, dependencies }));
  const args = ['install', '--no-package-lock', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', args, { cwd: FOLDER, stdio: ['ignore', 'ignore', 'inherit'] });
  return Object.keys(dependencies).map((name) => ({
    major: name.slice('node'.length),
    execPath: join(FOLDER, 'node_modules', name, 'bin', 'node'),
  }));
}
