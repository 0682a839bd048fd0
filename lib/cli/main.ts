#!/usr/bin/env node
import { run } from './run.js';

// The commands report the causes themselves.
process.removeAllListeners('warning');
// The reader of a pipe may end first.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

// The deadlines of requests do not keep the process running, and neither does a connection that the server has closed.
const running = setInterval(() => undefined, 60_000);
process.exitCode = await run(process.argv.slice(2), process).finally(() => {
  clearInterval(running);
});
