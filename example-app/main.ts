import { run } from './run.js';
import { readSettings } from './settings.js';

const settings = readSettings(process.env, process.argv.slice(2));
const running = await run(settings, console.log);
process.exitCode = running.exitStatus;

if (settings.once) {
  await running.close();
} else {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void running.close());
}
