/** DPoP proofs, each new, through this package and beside one signature check by jose. Runs with --expose-gc. */
import { createHash, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { getAuth, jwtBearer, memoryStore } from 'express-resource-server';
import { calculateJwkThumbprint, EmbeddedJWK, importJWK, jwtVerify } from 'jose';
import { AUDIENCE, CLIENT, mintWithSecret } from './tokens.js';

const ISSUER = 'https://auth.example.com';
const PATH = '/orders';
/** The number of concurrent requests, as in a server. */
const AT_ONCE = 32;
const KINDS = {
  ES256: {
    hash: 'sha256',
    options: { dsaEncoding: 'ieee-p1363' },
    make: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  },
  RS256: { hash: 'sha256', options: {}, make: () => generateKeyPairSync('rsa', { modulusLength: 2048 }) },
  EdDSA: { hash: null, options: {}, make: () => generateKeyPairSync('ed25519') },
};
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

const secret = randomBytes(32);
const mint = mintWithSecret(ISSUER, secret);

/** A client with a bound token, which creates proofs. */
async function makeClient(alg) {
  const { hash, options, make } = KINDS[alg];
  const { publicKey, privateKey } = make();
  const jwk = publicKey.export({ format: 'jwk' });
  const bound = mint({ cnf: { jkt: await calculateJwkThumbprint(jwk) } });
  const ath = createHash('sha256').update(bound).digest('base64url');
  const head = encode({ typ: 'dpop+jwt', alg, jwk });
  const prove = () => {
    const claims = {
      jti: randomBytes(12).toString('base64url'),
      htm: 'GET',
      htu: `${AUDIENCE}${PATH}`,
      iat: Math.floor(Date.now() / 1000),
      ath,
    };
    const input = `${head}.${encode(claims)}`;
    return `${input}.${sign(hash, Buffer.from(input), { key: privateKey, ...options }).toString('base64url')}`;
  };
  const check = (proof) => {
    const end = proof.lastIndexOf('.');
    const isGood = verify(
      hash,
      Buffer.from(proof.slice(0, end)),
      { key: publicKey, ...options },
      Buffer.from(proof.slice(end + 1), 'base64url'),
    );
    if (!isGood) throw new Error('a valid proof was rejected');
  };
  return { bound, unbound: mint(), prove, check, key: await importJWK(jwk, alg) };
}

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

const makeMiddleware = (store) =>
  jwtBearer({ issuer: ISSUER, audience: AUDIENCE, secret, baseUrl: AUDIENCE, dpop: { mode: 'allowed', store } });

async function contendersFor(alg) {
  const client = await makeClient(alg);
  const middleware = makeMiddleware(memoryStore({ maxEntries: 1_000_000 }));
  const expectAccepted = async (authorization, proof) => {
    const status = await pass(middleware, authorization, proof);
    if (status !== 200) throw new Error(`rejected with ${status}`);
  };
  return {
    client,
    run: {
      'crypto.verify alone': (proof) => client.check(proof),
      'jose, with an imported key': (proof) => jwtVerify(proof, client.key, { typ: 'dpop+jwt' }),
      'jose, with the key of the proof': (proof) => jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt' }),
      'a cached bearer token': (proof) => expectAccepted(`Bearer ${client.unbound}`, proof),
      'a cached DPoP token': (proof) => expectAccepted(`DPoP ${client.bound}`, proof),
    },
  };
}

/** CPU of all threads per call, in microseconds. */
async function measure(call, proofs) {
  const before = process.cpuUsage();
  for (let i = 0; i < proofs.length; i += AT_ONCE)
    await Promise.all(proofs.slice(i, i + AT_ONCE).map((proof) => call(proof)));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / proofs.length;
}

async function compare({ alg, rounds, calls, warmUp }) {
  const { client, run } = await contendersFor(alg);
  const figures = Object.fromEntries(Object.keys(run).map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    for (const [name, call] of Object.entries(run)) {
      const proofs = Array.from({ length: round < 0 ? warmUp : calls }, () => client.prove());
      const each = await measure(call, proofs);
      if (round >= 0) figures[name].push(each);
    }
  }
  return figures;
}

async function bytesUsed() {
  for (let i = 0; i < 2; i++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Twice as many proofs as the limit of the store: the size of one, and the result for those above the limit. */
async function fill({ entries }) {
  const client = await makeClient('ES256');
  const warm = makeMiddleware(undefined);
  for (let i = 0; i < 2_000; i++) await pass(warm, `DPoP ${client.bound}`, client.prove());
  const middleware = makeMiddleware(memoryStore({ maxEntries: entries }));
  await pass(middleware, `Bearer ${client.unbound}`, '');
  const samples = [await bytesUsed()];
  const statuses = {};
  for (let part = 0; part < 2; part++) {
    for (let i = 0; i < entries; i++) {
      const status = await pass(middleware, `DPoP ${client.bound}`, client.prove());
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
    samples.push(await bytesUsed());
  }
  return { samples, statuses };
}

process.on('message', async ({ id, method, ...parameters }) => {
  try {
    process.send({ id, result: await (method === 'fill' ? fill(parameters) : compare(parameters)) });
  } catch (error) {
    process.send({ id, error: String(error) });
  }
});
process.on('disconnect', () => process.exit());
