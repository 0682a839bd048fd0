/** Waits for a call, but not longer than the given number of seconds. A later result is ignored. */
export async function withTimeout<T>(call: Promise<T>, seconds: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${what} did not respond within ${seconds} s`));
    }, seconds * 1000);
    timer.unref();
  });
  return Promise.race([call, expired]).finally(() => {
    clearTimeout(timer);
  });
}
