import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { ConfigurationError } from '../errors.js';
import { describe } from '../options.js';
import { Backoff } from '../util/backoff.js';
import { ageClockOf, systemClock } from '../util/clock.js';
import { SingleFlight } from '../util/single-flight.js';
import { clientError, type RedisCommand } from './redis-client.js';

/** Sends a command and returns its reply. */
type Send = (command: RedisCommand) => Promise<unknown>;

/** The lifetime of a probe key. Milliseconds; longer than a probe takes. */
const LIFETIME = 60_000;
/** How often a lifetime is read while a replica does not have the key yet, and the pause between. Milliseconds. */
const MAX_READS = 20;
const READ_INTERVAL = 10;
/** The reply to PTTL for a key that does not exist. */
const NO_KEY = -2;

const probes = new WeakMap<object, RedisProbe>();

/** Checks a client once, for all stores that use it. */
export class RedisProbe {
  readonly #runs = new SingleFlight<void>();
  readonly #backoff = new Backoff(ageClockOf(systemClock));
  /** Why the client cannot be used. */
  #problem: ConfigurationError | undefined;
  hasPassed = false;

  static of(client: object): RedisProbe {
    const probe = probes.get(client) ?? new RedisProbe();
    probes.set(client, probe);
    return probe;
  }

  /**
   * Checks with a key of its own that `SET` with `NX` and `PX` sets a key only once, and with a lifetime. Many clients ignore
   * options that they do not know, and return `OK` every time: a DPoP proof would be accepted again and again.
   *
   * @throws ConfigurationError if the client does something else. Any other error means that Redis is unavailable.
   */
  run(send: Send, prefix: string): Promise<void> {
    return this.#runs.run('probe', async () => {
      if (this.#problem !== undefined && this.#backoff.wait > 0) throw this.#problem;
      const key = `${prefix}probe:${randomUUID()}`;
      const found = await findProblem(send, key);
      const discarded = send(({ discard }) => discard(key));
      if (found === undefined) {
        await discarded;
        this.hasPassed = true;
        return;
      }
      this.#problem = clientError(found);
      this.#backoff.failed();
      // A client that does something else with SET may not delete either.
      await Promise.allSettled([discarded]);
      throw this.#problem;
    });
  }
}

/** What the client does wrong, or `undefined`. */
async function findProblem(send: Send, key: string): Promise<string | undefined> {
  // Functions with callbacks return nothing, and those of MULTI an object.
  const missing = await send(({ get }) => get(key));
  if (missing !== null) return `a client that returns ${describe(missing)} instead of null for a missing key`;
  const first = await send(({ setIfMissing }) => setIfMissing(key, '1', LIFETIME));
  // A client that lost its connection may have sent the command twice.
  if (first === null) throw new Error('Redis already has a key that nobody has set');
  if (first !== 'OK') return `a client that returns ${describe(first)} instead of "OK" for SET`;
  const second = await send(({ setIfMissing }) => setIfMissing(key, '1', LIFETIME));
  if (second === 'OK') return 'a client that ignores NX and sets the same key twice';
  if (second !== null) return `a client that returns ${describe(second)} instead of null for SET with NX`;
  const reply = await readLifetime(send, key);
  const lifetime = Number(reply);
  if (lifetime === NO_KEY) throw new Error('Redis does not have a key that was just set');
  if (lifetime > 0 && lifetime <= LIFETIME) return undefined;
  return `a client that ignores PX: PTTL returns ${describe(reply)} instead of at most ${LIFETIME}`;
}

/** Reads from a replica may be behind. */
async function readLifetime(send: Send, key: string): Promise<unknown> {
  for (let reads = 1; ; reads++) {
    const reply = await send(({ pttl }) => pttl(key));
    if (Number(reply) !== NO_KEY || reads === MAX_READS) return reply;
    await pause(READ_INTERVAL, undefined, { ref: false });
  }
}
