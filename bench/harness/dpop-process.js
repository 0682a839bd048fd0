/** DPoP proofs, each new, through this package or one of its yardsticks. */
import { randomBytes } from 'node:crypto';
import { getAuth, jwtBearer, memoryStore } from 'express-resource-server';
import { importJWK, jwtVerify } from 'jose';
import { makeClient, PATH } from './dpop-client.js';
import { serveMethods } from './methods.js';
import { signatureCheck } from './signature.js';
import { AUDIENCE, CLIENT, ISSUER } from './tokens.js';

/** The number of concurrent requests, as in a server. */
const AT_ONCE = 32;
/** The number of proofs that are created at once, to keep memory use low. */
const PORTION = 1000;

class Request {
  method = 'GET';
  url = PATH;
  originalUrl = PATH;

  constructor(authorization, dpop) {
    this.headers = { authorization, dpop };
    this.rawHeaders = ['Authorization', authorization, 'DPoP', dpop];
  }
}

/** The status of a response; 200 if the middleware accepted the request. */
function pass(middleware, authorization, proof) {
  const req = new Request(authorization, proof);
  return new Promise((resolve, reject) => {
    const res = { setHeader: () => res, end: () => resolve(res.statusCode) };
    middleware(req, res, (error) => {
      if (error) reject(error);
      else if (getAuth(req).clientId !== CLIENT) reject(new Error('wrong client'));
      else resolve(200);
    });
  });
}

function makeMiddleware(secret, store) {
  const dpop = { mode: 'allowed', store };
  return jwtBearer({ issuer: ISSUER, audience: AUDIENCE, secret, baseUrl: AUDIENCE, dpop });
}

const contenders = {
  'crypto.verify alone': ({ alg, jwk }) => {
    const isSigned = signatureCheck(alg, jwk);
    return (proof) => {
      if (!isSigned(proof)) throw new Error('a valid proof was rejected');
    };
  },
  'jose, with an imported key': async ({ alg, jwk }) => {
    const key = await importJWK(jwk, alg);
    return (proof) => jwtVerify(proof, key, { typ: 'dpop+jwt' });
  },
  'a cached bearer token': ({ secret, unbound }) => accepting(secret, `Bearer ${unbound}`),
  'a cached DPoP token': ({ secret, bound }) => accepting(secret, `DPoP ${bound}`),
};

function accepting(secret, authorization) {
  const middleware = makeMiddleware(Buffer.from(secret, 'base64url'), memoryStore({ maxEntries: 1_000_000 }));
  return async (proof) => {
    const status = await pass(middleware, authorization, proof);
    if (status !== 200) throw new Error(`rejected with ${status}`);
  };
}

async function runAll(call, proofs) {
  for (let i = 0; i < proofs.length; i += AT_ONCE)
    await Promise.all(proofs.slice(i, i + AT_ONCE).map((proof) => call(proof)));
}

async function bytesUsed() {
  for (let i = 0; i < 2; i++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

serveMethods({
  names: () => Object.keys(contenders),
  /** CPU of all threads per proof, in microseconds. */
  async measure({ name, setting, warmUp, proofs }) {
    const call = await contenders[name](setting);
    await runAll(call, warmUp);
    const before = process.cpuUsage();
    await runAll(call, proofs);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / proofs.length;
  },
  /**
   * Twice as many proofs as the limit of the store: the size of one, and the result for those above the limit. Runs with
   * --expose-gc.
   */
  async fill({ entries }) {
    const secret = randomBytes(32);
    const { setting, prove } = makeClient('ES256', secret);
    const warm = makeMiddleware(secret, undefined);
    for (const proof of await prove(2_000)) await pass(warm, `DPoP ${setting.bound}`, proof);
    const middleware = makeMiddleware(secret, memoryStore({ maxEntries: entries }));
    await pass(middleware, `Bearer ${setting.unbound}`, '');
    const samples = [await bytesUsed()];
    const statuses = {};
    for (let part = 0; part < 2; part++) {
      for (let i = 0; i < entries; i += PORTION) {
        for (const proof of await prove(Math.min(PORTION, entries - i))) {
          const status = await pass(middleware, `DPoP ${setting.bound}`, proof);
          statuses[status] = (statuses[status] ?? 0) + 1;
        }
      }
      samples.push(await bytesUsed());
    }
    return { samples, statuses };
  },
});
