import { withTimeout } from './timeout.js';

export interface ConcurrencyLimiterOptions {
  /** Maximum number of concurrent runs. */
  readonly limit: number;
  /** Maximum number of waiting runs, of all groups together. */
  readonly maxWaiting: number;
  /** Maximum waiting time. Seconds. */
  readonly timeout: number;
}

/** A run that waits for its turn. */
interface Waiter {
  isAdmitted: boolean;
  enter: () => void;
  reject: (error: Error) => void;
}

/**
 * Limits how many runs of some work are in progress. Further runs wait, in one queue per group. The groups take turns, so a
 * group with many runs delays only itself.
 */
export class ConcurrencyLimiter {
  readonly #options: ConcurrencyLimiterOptions;
  /** No queue is empty. The next turn is that of the first queue. */
  readonly #queues = new Map<string, Set<Waiter>>();
  #waiting = 0;
  #running = 0;

  constructor(options: ConcurrencyLimiterOptions) {
    this.#options = options;
  }

  /**
   * Runs the work when there is room. Rejects if the waiting takes too long. If too many runs wait, the last one of the
   * longest queue is rejected.
   */
  async run<T>(work: () => Promise<T>, group = ''): Promise<T> {
    if (this.#running < this.#options.limit) this.#running++;
    else await this.#turn(group);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #turn(group: string): Promise<void> {
    const { maxWaiting, timeout } = this.#options;
    if (this.#waiting >= maxWaiting) this.#makeRoomFor(group);
    const waiter: Waiter = { isAdmitted: false, enter: () => undefined, reject: () => undefined };
    const turn = new Promise<void>((resolve, reject) => {
      waiter.enter = resolve;
      waiter.reject = reject;
    });
    this.#enqueue(group, waiter);
    try {
      await withTimeout(turn, timeout, 'the queue');
    } catch (error) {
      // If it got its place in the moment of the timeout, the next one gets its place.
      if (waiter.isAdmitted) this.#leave();
      else this.#remove(group, waiter);
      throw error;
    }
  }

  #makeRoomFor(group: string): void {
    let longest = group;
    // Only if this group then still has no more than the other one.
    let length = (this.#queues.get(group)?.size ?? 0) + 1;
    for (const [other, { size }] of this.#queues) {
      if (size > length) [longest, length] = [other, size];
    }
    const last = longest === group ? undefined : [...(this.#queues.get(longest) ?? [])].at(-1);
    if (last === undefined) throw tooManyWaiting();
    this.#remove(longest, last);
    last.reject(tooManyWaiting());
  }

  #enqueue(group: string, waiter: Waiter): void {
    const queue = this.#queues.get(group) ?? new Set();
    this.#queues.set(group, queue.add(waiter));
    this.#waiting++;
  }

  #remove(group: string, waiter: Waiter): void {
    const queue = this.#queues.get(group);
    if (queue?.delete(waiter) !== true) return;
    this.#waiting--;
    if (queue.size === 0) this.#queues.delete(group);
  }

  #leave(): void {
    const next = this.#takeNext();
    if (next === undefined) {
      this.#running--;
      return;
    }
    next.isAdmitted = true;
    next.enter();
  }

  #takeNext(): Waiter | undefined {
    const [[group, queue] = ['', undefined]] = this.#queues;
    const [waiter] = queue ?? [];
    if (queue === undefined || waiter === undefined) return undefined;
    this.#remove(group, waiter);
    // The queue goes to the end.
    if (this.#queues.delete(group)) this.#queues.set(group, queue);
    return waiter;
  }
}

function tooManyWaiting(): Error {
  return new Error('too many requests are waiting');
}
