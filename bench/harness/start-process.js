/** One start of one contender, timed: Express is there already, as it is in every application that uses one of these. */
import 'express';
import { pass } from './call.js';

process.once('message', async ({ id, file, setting, token }) => {
  const start = performance.now();
  const { make } = await import(file);
  const imported = performance.now() - start;
  await pass(make(setting), `Bearer ${token}`);
  const verified = performance.now() - start;
  process.send({ id, answer: { imported, verified } });
});
process.on('disconnect', () => process.exit());
