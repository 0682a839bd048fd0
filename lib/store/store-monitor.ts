import { describeCauses } from '../util/causes.js';
import { toIsoTime } from '../util/clock.js';
import type { WarningStates } from '../util/warnings.js';
import type { Store } from './store.js';

/** Warns once when a store fails, and once when it works again. */
export class StoreMonitor {
  /** The functions of the store whose last call failed: a replica, and a server that is full, can still be read. */
  readonly #failing = new Set<keyof Store>();
  readonly #states: WarningStates;
  readonly #option: string;
  readonly #consequence: string;

  /** The option that holds the store, and what happens while the store fails, as one sentence. */
  constructor(states: WarningStates, option: string, consequence: string) {
    this.#states = states;
    this.#option = option;
    this.#consequence = consequence;
  }

  failed(called: keyof Store, error: unknown): void {
    this.#failing.add(called);
    this.#states.begin(this.#option, {
      code: 'ERS_STORE',
      // The text of an error may be different for each call.
      cause: '',
      describe: (since) =>
        `The store of the option ${this.#option} fails since ${toIsoTime(since)}: ${describeCauses(error)}. ` +
        `${this.#consequence} Check the store and the connection to it.`,
    });
  }

  /** Returns whether the store works. It does not if another function failed, except that a write proves that reads work. */
  succeeded(called: keyof Store): boolean {
    this.#failing.delete(called);
    if (called !== 'get') this.#failing.delete('get');
    if (this.#failing.size > 0) return false;
    this.#states.end(
      this.#option,
      (_code, seconds) => `The store of the option ${this.#option} works again, after ${seconds} seconds.`,
    );
    return true;
  }
}
