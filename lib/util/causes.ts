import { escapeControls, truncate } from './escape.js';

const MAX_CAUSES = 8;
const MAX_LENGTH = 600;

/** The errors that led to an error, the outermost first; of several parallel ones, each. */
export function causesOf(error: unknown): Error[] {
  const found: Error[] = [];
  const visit = (value: unknown): void => {
    if (!(value instanceof Error) || found.includes(value) || found.length === MAX_CAUSES) return;
    found.push(value);
    visit(value.cause);
    if (value instanceof AggregateError) value.errors.forEach(visit);
  };
  visit(error);
  return found;
}

/** One line with the messages and codes of an error and its causes, without repetition: what an operator needs to read. */
export function describeCauses(error: unknown): string {
  const parts: string[] = [];
  for (const cause of causesOf(error)) {
    const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
    const text = code === undefined || cause.message.includes(code) ? cause.message : `${cause.message} (${code})`;
    const isKnown = text === '' || text === 'fetch failed' || parts.some((part) => part.includes(text));
    if (!isKnown) parts.push(text.replace(/\.$/, ''));
  }
  return truncate(escapeControls(parts.join(': ')), MAX_LENGTH);
}
