/** Calls back after a number of seconds, and does not keep the process alive. Returns a function that stops the timer. */
export function startTimer(seconds: number, callback: () => void): () => void {
  const timer = setTimeout(callback, seconds * 1000);
  // In jsdom and Electron a timer is a number.
  const { unref } = timer as { unref?: unknown };
  if (typeof unref === 'function') timer.unref();
  return () => {
    clearTimeout(timer);
  };
}
