/**
 * C0, DEL, C1, and the line and paragraph separators of Unicode: with them, a caller could forge lines of a log. Controls of
 * the direction of writing, which show characters in another order, and halves of surrogate pairs.
 */
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/gu;

/** Makes text of a caller or a server safe for one line of a log or a terminal. */
export function escapeControls(text: string): string {
  return text.replace(CONTROL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Renders any value on one line, at most 200 characters, with all control characters escaped. */
export function render(value: unknown, maxLength = 200): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : (stringify(value) ?? String(value));
  return truncate(escapeControls(text), maxLength);
}

/** The beginning of a text, which ends with a complete character. */
export function truncate(text: string, maxLength: number): string {
  return text.length > maxLength ? `${text.slice(0, maxLength).replace(/[\ud800-\udbff]$/, '')}…` : text;
}

/** A shorter token is no secret, and every text could contain it. */
const MIN_SECRET = 16;

/** A text without a token. Servers and callers sometimes repeat it in other values. */
export function withoutToken(text: string, token: string | undefined): string {
  return token === undefined || token.length < MIN_SECRET ? text : text.replaceAll(token, '…');
}

function stringify(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}
