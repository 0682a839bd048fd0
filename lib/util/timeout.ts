/** Waits for a call no longer than that many seconds. What it says later is not heard. */
export async function withTimeout<T>(call: Promise<T>, seconds: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${what} did not answer within ${seconds} s`));
    }, seconds * 1000);
    timer.unref();
  });
  return Promise.race([call, expired]).finally(() => {
    clearTimeout(timer);
  });
}
