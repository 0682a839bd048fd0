import { shownInstead, withoutPasswords } from '../errors.js';
import { escapeControls, truncate } from './escape.js';

const MAX_CAUSES = 8;
const MAX_LENGTH = 600;

/** The errors that led to an error, the outermost first; of several parallel ones, each. */
export function causesOf(error: unknown): Error[] {
  const found: Error[] = [];
  const visit = (value: unknown): void => {
    if (!(value instanceof Error) || found.includes(value) || found.length === MAX_CAUSES) return;
    found.push(value);
    if (shownInstead(value) !== undefined) return;
    visit(value.cause);
    if (value instanceof AggregateError) value.errors.forEach(visit);
  };
  visit(error);
  return found;
}

/** The message of an error, with its code. */
export function messageOf(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return code === undefined || error.message.includes(code) ? error.message : `${error.message} (${code})`;
}

/** One line with the messages and codes of an error and its causes, without repetition: what an operator needs to read. */
export function describeCauses(error: unknown): string {
  const causes = causesOf(error);
  const parallel = new Set(
    causes.flatMap((each) => (each instanceof AggregateError ? (each.errors as unknown[]).slice(1) : [])),
  );
  let line = '';
  for (const cause of causes) {
    const text = shownInstead(cause) ?? messageOf(cause);
    if (text === '' || text === 'fetch failed' || line.includes(text)) continue;
    const separator = line === '' ? '' : parallel.has(cause) ? '; ' : ': ';
    line += `${separator}${text.replace(/\.$/, '')}`;
  }
  return truncate(escapeControls(withoutPasswords(line)), MAX_LENGTH);
}
