/** Sends distinct valid tokens through one middleware and measures the heap. Runs with --expose-gc. */
import { randomBytes } from 'node:crypto';
import { getAuth, jwtBearer } from 'express-resource-server';
import { pass } from './call.js';
import { serveMethods } from './methods.js';
import { AUDIENCE, ISSUER, mintWithSecret } from './tokens.js';

const secret = randomBytes(32);
const mint = mintWithSecret(secret);
const make = () => ({
  middleware: jwtBearer({ issuer: ISSUER, audience: AUDIENCE, secret }),
  clientOf: (req) => getAuth(req).clientId,
});

/** Each token comes twice, because a cache may ignore tokens that come only once. */
async function through(contender, count) {
  for (let i = 0; i < count; i++) {
    const authorization = `Bearer ${mint()}`;
    await pass(contender, authorization);
    await pass(contender, authorization);
  }
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

serveMethods({
  async run({ total, entries, interval }) {
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
    return { before, samples };
  },
});
