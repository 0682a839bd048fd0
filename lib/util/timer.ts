import { clearImmediate, setImmediate } from 'node:timers';

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

/**
 * Like `startTimer`, for a deadline of something that other machines do. When the process continues after it was suspended,
 * its timers run before it reads what the network has delivered meanwhile, so the callback runs after that.
 */
export function startDeadline(seconds: number, callback: () => void): () => void {
  let turn: NodeJS.Immediate | undefined;
  const stopTimer = startTimer(seconds, () => {
    turn = setImmediate(callback);
  });
  return () => {
    stopTimer();
    clearImmediate(turn);
  };
}
