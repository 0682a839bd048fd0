import { existsSync, readFileSync } from 'node:fs';
import { describeCauses } from '../util/causes.js';
import { escapeControls } from '../util/escape.js';
import { doctor } from './doctor.js';
import { explain } from './explain.js';
import { DOCTOR_HELP, EXPLAIN_HELP, HELP, ISSUER_HELP } from './help.js';
import type { CommandIo, ExitStatus } from './io.js';
import { issuer } from './issuer.js';
import { nearest } from '../unknown-options.js';
import { UsageError } from './usage.js';

const COMMANDS: Readonly<
  Record<string, { run: (args: string[], io: CommandIo) => Promise<ExitStatus>; help: string }>
> = {
  doctor: { run: doctor, help: DOCTOR_HELP },
  explain: { run: explain, help: EXPLAIN_HELP },
  issuer: { run: issuer, help: ISSUER_HELP },
};

/** Runs a command. It never throws. */
export async function run([name = '', ...args]: string[], io: CommandIo): Promise<ExitStatus> {
  const [topic = ''] = args;
  const hasTopic = name === 'help' && Object.hasOwn(COMMANDS, topic);
  if (name === '--help' || name === '-h' || name === 'help')
    return show((hasTopic ? COMMANDS[topic]?.help : undefined) ?? HELP, io);
  if (name === '--version' || name === '-v') return show(`${version()}\n`, io);
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    const meant = nearest(name, Object.keys(COMMANDS));
    const unknown = meant === undefined ? 'The command is unknown.' : `The command is unknown. Did you mean ${meant}?`;
    io.stderr.write(`${name === '' ? 'There is no command.' : unknown}\n\n${HELP}`);
    return 2;
  }
  if (args.includes('--help') || args.includes('-h')) return show(command.help, io);
  try {
    return await command.run(args, io);
  } catch (error) {
    const text = error instanceof UsageError ? error.message : describeCauses(error);
    io.stderr.write(`${escapeControls(text)}\nnpx express-resource-server ${name} --help shows the usage.\n`);
    return 2;
  }
}

function show(text: string, io: CommandIo): ExitStatus {
  io.stdout.write(text);
  return 0;
}

function version(): string {
  // The built command is one file in dist; the source is two folders deep.
  const files = ['../package.json', '../../package.json'].map((path) => new URL(path, import.meta.url));
  const file = files.find((url) => existsSync(url));
  if (file === undefined) throw new Error('package.json is missing');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
