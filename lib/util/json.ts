import { isPlainObject } from './is-plain-object.js';

export interface JsonLimits {
  /** How deep objects and arrays may be nested. */
  readonly maxDepth: number;
  /** Maximum number of values in all objects and arrays together. */
  readonly maxMembers: number;
}

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
  let depth = 0;
  let members = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '"') {
      at = endOfString(text, at);
    } else if (character === '{' || character === '[') {
      depth++;
      members++;
    } else if (character === ',') {
      members++;
    } else if (character === '}' || character === ']') {
      depth--;
    }
    if (depth > maxDepth || members > maxMembers) return false;
  }
  return true;
}

/** The position of the quote that ends a string, or the end of the text. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at;
  }
  return text.length;
}
