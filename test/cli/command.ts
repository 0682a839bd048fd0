import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/type-check.js';

const { bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { bin: Record<string, string> };
/** The file that `npx express-resource-server` runs. */
export const MAIN = join(ROOT, bin['express-resource-server'] ?? '');

export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Standard input. @default empty */
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs the built command in its own process. */
export function runCommand(args: readonly string[], options?: CommandOptions): Promise<CommandResult> {
  return runProcess(process.execPath, [MAIN, ...args], options);
}

export function runProcess(
  file: string,
  args: readonly string[],
  { input = '', env = process.env }: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env });
    const [stdout, stderr]: Buffer[][] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => stdout?.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr?.push(chunk));
    child.on('error', reject);
    child.on('close', (status) => {
      const text = (chunks: Buffer[] = []): string => Buffer.concat(chunks).toString();
      resolve({ status, stdout: text(stdout), stderr: text(stderr) });
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}
