#!/usr/bin/env node
import { startIssuer, UsageError, USAGE } from './issuer.js';

const [command, ...args] = process.argv.slice(2);

if (command === 'issuer' && !args.includes('--help')) {
  startIssuer(args).then(
    ({ text }) => {
      process.stdout.write(text);
    },
    (error: unknown) => {
      if (!(error instanceof UsageError)) throw error;
      process.stderr.write(`${error.message}\n`);
      process.exitCode = 2;
    },
  );
} else {
  const isHelp = command === undefined || [command, ...args].includes('--help');
  (isHelp ? process.stdout : process.stderr).write(USAGE);
  if (!isHelp) process.exitCode = 2;
}
