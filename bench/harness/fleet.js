import { Child } from './child.js';
import { request } from './load.js';
import { AUDIENCE, CLIENT, makeKeys, Mint, OpaqueMint } from './tokens.js';

const WARM_UP_TURNS = 4;

const fileOf = (name) => new URL(`./${name}`, import.meta.url);

/** An issuer, and one process per contender that trusts it. Every contender is checked before it is measured. */
export class Fleet {
  /** @param {string} alg @param {import('../contenders/index.js').Contender[]} contenders */
  static async start(alg, contenders, { profileInto } = {}) {
    const fleet = new Fleet();
    const keys = makeKeys();
    const jwks = { keys: keys.map(({ jwk }) => jwk) };
    fleet.issuer = new Child(fileOf('issuer-process.js'));
    const issuer = `http://127.0.0.1:${await fleet.issuer.call('start', jwks)}`;
    fleet.mint = new Mint(
      issuer,
      keys.find((key) => key.alg === alg),
    );
    fleet.opaqueMint = new OpaqueMint(issuer, (infos) => fleet.issuer.call('register', { infos }));
    const introspection = { endpoint: `${issuer}/introspect`, clientId: 'api', clientSecret: 'not-checked' };
    const jwksUri = `${issuer}/.well-known/jwks.json`;
    fleet.setting = { issuer, jwksUri, audience: AUDIENCE, alg, jwks, introspection, tokens: [] };
    fleet.contenders = contenders.filter(({ algorithms }) => algorithms.includes(alg));
    fleet.profileInto = profileInto;
    await fleet.#startMembers();
    await fleet.#checkMembers();
    return fleet;
  }

  /** Replaces all processes of contenders by new ones: two that do the same can differ all their lives. */
  async restart() {
    await this.#endMembers();
    await this.#startMembers();
  }

  async #startMembers() {
    const members = this.contenders.map(async ({ name, file, role }) => {
      const profiling = this.profileInto && role === 'ours' ? ['--cpu-prof', `--cpu-prof-dir=${this.profileInto}`] : [];
      const child = new Child(fileOf('contender-process.js'), { execArgv: profiling });
      return [name, { child, port: await child.call('start', { file, setting: this.setting }) }];
    });
    this.members = new Map(await Promise.all(members));
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

  get names() {
    return [...this.members.keys()];
  }

  jwksRequests() {
    return this.issuer.call('jwksRequests');
  }

  introspections() {
    return this.issuer.call('introspections');
  }

  /** Runs a load against one contender and adds its CPU time, in microseconds per request. */
  async measure(name, load) {
    const { child, port } = this.members.get(name);
    const before = await child.call('cpu');
    const result = await load(port);
    return { ...result, cpu: ((await child.call('cpu')) - before) / result.served };
  }

  async end() {
    await this.#endMembers();
    await this.issuer.end();
  }
}

/**
 * In turns as well, so that no contender waits longer than others between warm-up and measurement.
 *
 * @template T
 * @param {string[]} names
 * @param {number} count  Requests for each
 * @param {(name: string, count: number, first: number) => Promise<T>} load
 * @returns {Promise<Map<string, T[]>>} one result per turn, the last the warmest
 */
export function warm(names, count, load) {
  const portion = Math.floor(count / WARM_UP_TURNS);
  return interleave(names, WARM_UP_TURNS, (name, turn) => load(name, portion, turn * portion));
}

/**
 * Interleaved rounds: A B C … A B C …, so that a slow phase of the machine slows all of them.
 *
 * @template T
 * @param {string[]} names
 * @param {number} rounds
 * @param {(name: string, round: number) => Promise<T>} measure
 * @returns {Promise<Map<string, T[]>>} by name, one result per round
 */
export async function interleave(names, rounds, measure) {
  const results = new Map(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const name of names) results.get(name).push(await measure(name, round));
  }
  return results;
}

/**
 * Interleaved rounds, each with new processes that are warmed up first. The order of the contenders turns from round to
 * round.
 *
 * @template T
 * @param {Fleet} fleet
 * @param {{ rounds: number, warmUp: (name: string, round: number) => Promise<unknown>, measure: (name: string, round: number) => Promise<T> }} steps
 * @returns {Promise<Map<string, T[]>>} by name, one result per round
 */
export async function freshRounds(fleet, { rounds, warmUp, measure }) {
  const results = new Map(fleet.names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    await fleet.restart();
    const { names } = fleet;
    const order = names.map((_, i) => names[(i + round) % names.length]);
    for (const name of order) await warmUp(name, round);
    for (const name of order) results.get(name).push(await measure(name, round));
  }
  return results;
}
