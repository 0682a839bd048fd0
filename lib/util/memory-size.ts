/** What V8 needs for a value, in addition to the content of strings. Bytes, rounded up. */
const ARRAY = 64;
const OBJECT = 104;
const MEMBER = 32;
const SLOT = 8;
const NUMBER = 16;
const STRING = 24;

/**
 * Estimates how much memory a value of JSON uses, in bytes: usually more than V8 needs, for objects with names and shapes of
 * their own about as much. A loop, because recursion would overflow the stack for deep values.
 */
export function memorySizeOf(root: object): number {
  let bytes = SLOT;
  const open: object[] = [root];
  const measure = (value: unknown): void => {
    bytes += SLOT;
    if (typeof value === 'string') bytes += sizeOfText(value);
    else if (typeof value === 'number') bytes += NUMBER;
    else if (typeof value === 'object' && value !== null) open.push(value);
  };
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (Array.isArray(next)) {
      bytes += ARRAY;
      for (const item of next) measure(item);
    } else {
      bytes += OBJECT;
      for (const name of Object.keys(next)) {
        bytes += MEMBER + sizeOfText(name);
        measure(next[name as keyof typeof next]);
      }
    }
  }
  return bytes;
}

function sizeOfText(text: string): number {
  return STRING + Buffer.byteLength(text);
}
