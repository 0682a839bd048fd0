/** Freezes a value of JSON and everything in it. A loop, because recursion would overflow the stack for deep values. */
export function deepFreeze<T extends object>(root: T): Readonly<T> {
  const open: object[] = [root];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    Object.freeze(next);
    for (const name of Object.keys(next)) {
      const value: unknown = next[name as keyof typeof next];
      if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) open.push(value);
    }
  }
  return root;
}
