/** Measures one start of one contender. Express is already loaded, as it is in every application that uses a contender. */
import 'express';
import { pass } from './call.js';

process.once('message', async ({ id, file, setting, token }) => {
  const start = performance.now();
  const { make } = await import(file);
  const imported = performance.now() - start;
  await pass(make(setting), `Bearer ${token}`);
  const verified = performance.now() - start;
  process.send({ id, result: { imported, verified } });
});
process.on('disconnect', () => process.exit());
