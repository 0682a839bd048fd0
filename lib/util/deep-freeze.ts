/** Freezes an object and all in it. Not recursive: some thousand nested arrays must not overflow the stack. */
export function deepFreeze<T extends object>(root: T): Readonly<T> {
  const open: object[] = [root];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    Object.freeze(next);
    for (const value of Object.values(next)) {
      if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) open.push(value as object);
    }
  }
  return root;
}
