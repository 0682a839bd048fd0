/** C0, DEL, C1, and the line and paragraph separators of Unicode: with them, a caller could forge lines of a log. */
// eslint-disable-next-line no-control-regex -- these are the characters
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

/** Makes text of a caller or a server safe for one line of a log or a terminal. */
export function escapeControls(text: string): string {
  return text.replace(CONTROL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Renders any value on one line, at most 200 characters, with all control characters escaped. */
export function render(value: unknown, maxLength = 200): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : (stringify(value) ?? String(value));
  const line = escapeControls(text);
  return line.length > maxLength ? `${line.slice(0, maxLength)}…` : line;
}

function stringify(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}
