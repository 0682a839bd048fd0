import { isPlainObject } from './is-plain-object.js';

export interface JsonLimits {
  /** How deep objects and arrays may be nested. */
  readonly maxDepth: number;
  /** Maximum number of values in all objects and arrays together. */
  readonly maxMembers: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * Parses a JSON object; `undefined` for anything else. The limits are checked on the text, before anything is built: a short
 * text can contain many small values, and each of them uses much more memory than its characters.
 */
export function parseJsonObject(text: string, limits: JsonLimits): Record<string, unknown> | undefined {
  if (!isWithinLimits(text, limits)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isPlainObject(value) ? value : undefined;
  } catch {
    // The error of JSON.parse quotes the text, so it is dropped.
    return undefined;
  }
}

/** Whether a JSON text is within the limits. The text may be invalid. */
export function isWithinLimits(text: string, { maxDepth, maxMembers }: JsonLimits): boolean {
  // Each level and each member has a character of its own.
  if (text.length <= maxDepth && text.length <= maxMembers) return true;
  let depth = 0;
  let members = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === QUOTE) {
      at = endOfString(text, at);
    } else if (character === OPEN_BRACE || character === OPEN_BRACKET) {
      depth++;
      members++;
    } else if (character === COMMA) {
      members++;
    } else if (character === CLOSE_BRACE || character === CLOSE_BRACKET) {
      depth--;
    }
    if (depth > maxDepth || members > maxMembers) return false;
  }
  return true;
}

/** The position of the quote that ends a string, or the end of the text. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === BACKSLASH) at++;
    else if (character === QUOTE) return at;
  }
  return text.length;
}
