import { describeCauses } from '../util/causes.js';
import { toIsoTime } from '../util/clock.js';
import type { WarningStates } from '../util/warnings.js';

/** Warns once when a store fails, and once when it works again. */
export class StoreMonitor {
  readonly #states: WarningStates;
  readonly #option: string;
  readonly #consequence: string;

  /** The option that holds the store, and what happens while the store fails, as one sentence. */
  constructor(states: WarningStates, option: string, consequence: string) {
    this.#states = states;
    this.#option = option;
    this.#consequence = consequence;
  }

  failed(error: unknown): void {
    this.#states.begin(this.#option, {
      code: 'ERS_STORE',
      // The text of an error may be different for each call.
      cause: '',
      describe: (since) =>
        `The store of the option ${this.#option} fails since ${toIsoTime(since)}: ${describeCauses(error)}. ` +
        `${this.#consequence} Check the store and the connection to it.`,
    });
  }

  succeeded(): void {
    this.#states.end(
      this.#option,
      (_code, seconds) => `The store of the option ${this.#option} works again, after ${seconds} seconds.`,
    );
  }
}
