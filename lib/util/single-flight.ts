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
    const run: Promise<T> = this.#start(key, work, () => this.#running.get(key) === run);
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

  async #start(key: string, work: (isCurrent: () => boolean) => Promise<T>, isCurrent: () => boolean): Promise<T> {
    // Later, so that `isCurrent` and `isRunning` are already true in the first statement of the work.
    await Promise.resolve();
    try {
      return await work(isCurrent);
    } finally {
      if (isCurrent()) this.#running.delete(key);
    }
  }
}
