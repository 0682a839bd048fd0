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
export function memorySizeOf(root: unknown): number {
  let bytes = 0;
  const open: unknown[] = [root];
  while (open.length > 0) {
    const value = open.pop();
    bytes += SLOT;
    if (typeof value === 'string') {
      bytes += STRING + Buffer.byteLength(value);
    } else if (typeof value === 'number') {
      bytes += NUMBER;
    } else if (Array.isArray(value)) {
      bytes += ARRAY;
      for (const item of value) open.push(item);
    } else if (typeof value === 'object' && value !== null) {
      bytes += OBJECT;
      for (const [name, member] of Object.entries(value)) {
        bytes += MEMBER + STRING + Buffer.byteLength(name);
        open.push(member);
      }
    }
  }
  return bytes;
}
