/** Sends distinct valid tokens through one middleware and measures the heap. Runs with --expose-gc. */
import { randomBytes } from 'node:crypto';
import { jwtBearer } from 'express-resource-server';
import { getAuth } from 'express-resource-server';
import { pass } from './call.js';
import { AUDIENCE, mintWithSecret } from './tokens.js';

const ISSUER = 'https://auth.example.com';
const secret = randomBytes(32);
const mint = mintWithSecret(ISSUER, secret);
const make = () => ({
  middleware: jwtBearer({ issuer: ISSUER, audience: AUDIENCE, secret }),
  clientOf: (req) => getAuth(req).clientId,
});

async function through(contender, count) {
  for (let i = 0; i < count; i++) await pass(contender, `Bearer ${mint()}`);
}

async function bytesUsed() {
  // Twice, with a turn of the event loop between: the second collection frees objects with finalizers.
  for (let i = 0; i < 2; i++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

process.once('message', async ({ id, total, entries, interval }) => {
  await through(make(), 3000);
  const contender = make();
  const before = await bytesUsed();
  const samples = [];
  await through(contender, entries);
  samples.push({ tokens: entries, bytes: await bytesUsed() });
  for (let tokens = entries + interval; tokens <= total; tokens += interval) {
    await through(contender, interval);
    samples.push({ tokens, bytes: await bytesUsed() });
  }
  process.send({ id, result: { before, samples } });
});
process.on('disconnect', () => process.exit());
