/** What to do about white space around an option. */
export const SPACE_FIX = 'Remove the white space around it: files that hold settings often end in a line break.';

/** Whether there is white space before or after a text. */
export function hasSpaceAround(value: unknown): boolean {
  return typeof value === 'string' && value !== value.trim();
}
