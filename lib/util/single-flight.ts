/** Runs concurrent work for the same key once: a caller that arrives while it runs receives the same promise. */
export class SingleFlight<T> {
  readonly #running = new Map<string, Promise<T>>();

  /**
   * Starts the work, or returns the promise of the run that is in progress. The work receives a function that says whether
   * this run is still the current one; it is not after `abandon`.
   */
  run(key: string, work: (isCurrent: () => boolean) => Promise<T>): Promise<T> {
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    // The work starts in a later microtask, so that `isCurrent` and `isRunning` are already true in its first statement.
    const run: Promise<T> = Promise.resolve()
      .then(() => work(() => this.#running.get(key) === run))
      .finally(() => {
        if (this.#running.get(key) === run) this.#running.delete(key);
      });
    this.#running.set(key, run);
    return run;
  }

  isRunning(key: string): boolean {
    return this.#running.has(key);
  }

  /** The promise of the run that is in progress. */
  get(key: string): Promise<T> | undefined {
    return this.#running.get(key);
  }

  /** The next caller starts the work again, even if a run is still in progress. */
  abandon(key: string): void {
    this.#running.delete(key);
  }
}
