import { Child } from './child.js';
import { request, saturate } from './load.js';
import { AUDIENCE, CLIENT, makeKeys, Mint, OpaqueMint } from './tokens.js';

/** In how many parts a round warms up and measures a contender: short ones, so that none is idle for long. */
export const TURNS = 5;

const fileOf = (name) => new URL(`./${name}`, import.meta.url);

/**
 * An issuer, and one process per contender that trusts it. Every contender is checked before it is measured.
 *
 * @typedef {object} FleetOptions
 * @property {string} [profileInto]  The folder for CPU profiles of this package's processes.
 * @property {string} [expressPackage]
 * @property {string} [execPath]  Another Node.js for the contenders.
 * @property {number} [issuers]  How many issuers `setting.issuers` names.
 */
export class Fleet {
  /** @param {string} alg @param {import('../contenders/index.js').Contender[]} contenders @param {FleetOptions} [options] */
  static async start(alg, contenders, { issuers: count = 1, ...options } = {}) {
    const fleet = new Fleet();
    const keys = makeKeys();
    const key = keys.find((each) => each.alg === alg);
    const jwks = { keys: keys.map(({ jwk }) => jwk) };
    fleet.issuer = new Child(fileOf('issuer-process.js'));
    const issuer = `http://127.0.0.1:${await fleet.issuer.call('start', jwks)}`;
    const issuers = [issuer, ...Array.from({ length: count - 1 }, (_, i) => `${issuer}/tenant-${i + 1}`)];
    fleet.mints = issuers.map((each) => new Mint(each, key));
    fleet.opaqueMint = new OpaqueMint(issuer, (infos) => fleet.issuer.call('register', { infos }));
    const introspection = { endpoint: `${issuer}/introspect`, clientId: 'api', clientSecret: 'not-checked' };
    const jwksUri = `${issuer}/.well-known/jwks.json`;
    fleet.setting = { issuer, issuers, jwksUri, audience: AUDIENCE, alg, jwks, introspection, tokens: [] };
    fleet.contenders = contenders.filter(({ algorithms }) => algorithms.includes(alg));
    fleet.options = options;
    await fleet.#startMembers();
    await fleet.#checkMembers();
    return fleet;
  }

  get mint() {
    return this.mints[0];
  }

  get names() {
    return this.contenders.map(({ name }) => name);
  }

  /** Replaces all processes of contenders by new ones: two that do the same can differ all their lives. */
  async restart() {
    await this.#endMembers();
    await this.#startMembers();
  }

  async #startMembers() {
    const members = this.contenders.map(async (contender) => {
      const child = this.startProcess(contender);
      return [contender.name, { child, ...(await this.startContender(child, contender)) }];
    });
    this.members = new Map(await Promise.all(members));
  }

  /** A process that has loaded nothing yet. */
  startProcess({ role }) {
    const { profileInto, execPath } = this.options;
    const execArgv = profileInto && role === 'ours' ? ['--cpu-prof', `--cpu-prof-dir=${profileInto}`] : [];
    return new Child(fileOf('contender-process.js'), { execArgv, execPath });
  }

  /** @returns {Promise<{ port: number, importMs: number }>} */
  startContender(child, { file }) {
    const { expressPackage = 'express' } = this.options;
    return child.call('start', { file, setting: this.setting, expressPackage });
  }

  #endMembers() {
    return Promise.all([...this.members.values()].map(({ child }) => child.end()));
  }

  async #checkMembers() {
    for (const { name, role, tokens } of this.contenders) {
      if (role === 'bare' || role === 'yardstick') continue;
      await this.#check(name, this.members.get(name).port, tokens === 'opaque' ? this.opaqueMint : this.mint);
    }
  }

  async #check(name, port, mint) {
    const now = Math.floor(Date.now() / 1000);
    const expectStatus = async (isRight, what, token) => {
      const { status, body } = await request(port, token);
      if (!isRight(status, body)) throw new Error(`${name} responds ${status} to ${what}: ${body.slice(0, 200)}`);
    };
    const isAccepted = (status, body) => status === 200 && JSON.parse(body).client === CLIENT;
    const isRejected = (status) => status >= 400 && status < 500;
    await expectStatus(isAccepted, 'a valid token', await mint.valid());
    await expectStatus(isAccepted, 'another valid token', await mint.valid());
    await expectStatus(isRejected, 'a forged token', (await mint.forged(1))[0]);
    await expectStatus(isRejected, 'an expired token', await mint.valid({ exp: now - 600 }));
    await expectStatus(isRejected, 'a token for another API', await mint.valid({ aud: 'https://other.example.com' }));
    await expectStatus(isRejected, 'a token of another issuer', await mint.valid({ iss: 'https://other.example' }));
  }

  /**
   * Runs a load against one contender, and adds the requests that the issuer received meanwhile.
   *
   * @param {string} name
   * @param {(server: import('./load.js').Server) => Promise<object>} load
   */
  async measure(name, load) {
    const { child, port } = this.members.get(name);
    const before = await this.issuer.call('counts');
    const result = await load({ port, cpu: () => child.call('cpu') });
    const after = await this.issuer.call('counts');
    return {
      ...result,
      jwksRequests: after.jwksRequests - before.jwksRequests,
      introspections: after.introspections - before.introspections,
    };
  }

  async end() {
    await this.#endMembers();
    await this.issuer.end();
  }
}

/**
 * Interleaved rounds, so that a slow phase of the machine slows all contenders. Each round has new processes. They are
 * warmed up and measured in turns, because V8 drops the code of a process that is idle for some seconds. The order of
 * the contenders changes from round to round.
 *
 * @template T
 * @param {Fleet} fleet
 * @param {object} steps
 * @param {number} steps.rounds
 * @param {(name: string, turn: number) => Promise<unknown>} steps.warmUp  Called `TURNS` times in a round.
 * @param {(name: string, turn: number) => Promise<T>} steps.measure  Called `TURNS` times in a round.
 * @returns {Promise<Map<string, T[][]>>} by name, for each round one result per turn
 */
export async function freshRounds(fleet, { rounds, warmUp, measure }) {
  const { names } = fleet;
  const results = new Map(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    await fleet.restart();
    for (const name of names) results.get(name).push([]);
    const order = inTurn(names, round);
    for (let turn = 0; turn < TURNS; turn++) {
      for (const name of order) await warmUp(name, turn);
    }
    for (let turn = 0; turn < TURNS; turn++) {
      for (const name of order) results.get(name)[round].push(await measure(name, turn));
    }
  }
  return results;
}

/** @template T @param {T[]} names @param {number} round @returns {T[]} the same, from another first one */
export function inTurn(names, round) {
  return names.map((_, i) => names[(i + round) % names.length]);
}

/**
 * Rounds in which every request is valid, with these tokens in turn. If there are as many tokens as requests, each
 * request has a new one, because no process has seen a token before its first request.
 *
 * @param {Fleet} fleet
 * @param {{ tokens: string[], rounds: number, warmUp: number, requests: number, connections?: number }} plan
 */
export async function validRounds(fleet, { tokens, rounds, warmUp, requests, connections }) {
  const next = (i) => ({ token: tokens[i % tokens.length], isValid: true });
  const send = async (name, first, count) => {
    const load = (server) => saturate({ server, count, connections, next: (i) => next(first + i) });
    const result = await fleet.measure(name, load);
    if (result.surprises > 0) throw new Error(`${name} rejected ${result.surprises} valid requests`);
    return result;
  };
  const [portion, count] = [warmUp, requests].map((each) => Math.ceil(each / TURNS));
  const results = await freshRounds(fleet, {
    rounds,
    warmUp: (name, turn) => send(name, turn * portion, portion),
    measure: (name, turn) => send(name, warmUp + turn * count, count),
  });
  return new Map([...results].map(([name, each]) => [name, each.map(combine)]));
}

/** The sum of several measurements. */
export function combine(results) {
  const sum = (read) => results.reduce((total, result) => total + read(result), 0);
  const served = sum((result) => result.served);
  return {
    served,
    surprises: sum(({ surprises }) => surprises),
    cpu: sum((result) => result.cpu * result.served) / served,
    perSecond: served / sum((result) => result.served / result.perSecond),
    clientLoad: Math.max(...results.map(({ clientLoad }) => clientLoad)),
    jwksRequests: sum(({ jwksRequests }) => jwksRequests),
    introspections: sum(({ introspections }) => introspections),
  };
}
