import { inspect, type InspectOptions } from 'node:util';

const MAX_CAUSES = 4;

/** The characters of `util/escape.ts`, which this file cannot import. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/gu;

const shownTexts = new WeakMap<Error, string>();

/** For an error whose message may contain a secret: every output of this package shows this text in its place. */
export function hideMessage(error: Error, shown: string): void {
  shownTexts.set(error, shown);
}

/** What to show in place of the message of an error; `undefined` if the message is not hidden. */
export function shownInstead(error: Error): string | undefined {
  return shownTexts.get(error);
}

/** Errors of clients often quote the address that they use, with its user and password. */
export function withoutPasswords(text: string): string {
  return text.replace(/:\/\/\S{0,500}@/g, '://…@');
}

/**
 * What `console.log(error)` shows: the message, then the causes, which name the root of the problem, then the other
 * members, then the stack. Node itself shows the causes last, below two stacks.
 */
export function inspectError(
  error: Error,
  members: Readonly<Record<string, unknown>>,
  options: InspectOptions,
): string {
  const { stack = '' } = error;
  const frames = /\n {4}at .*$/s.exec(stack)?.[0] ?? '';
  const causes = causesOf(error).map((cause) => `\n  cause: ${describe(cause, options)}`);
  const shown = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
  const rest = printable(inspect(shown, oneLine(options)));
  return `${printable(`${error.name}: ${error.message}`)}${causes.join('')}\n  ${rest}${frames}`;
}

/** The causes, the outermost first. An error can be its own cause. */
function causesOf({ cause }: Error): unknown[] {
  const found: unknown[] = [];
  for (let next = cause; next !== undefined && !found.includes(next) && found.length < MAX_CAUSES;) {
    found.push(next);
    if (next instanceof AggregateError) found.push(...(next.errors as unknown[]).slice(0, MAX_CAUSES));
    next = next instanceof Error && shownInstead(next) === undefined ? next.cause : undefined;
  }
  return found;
}

function describe(cause: unknown, options: InspectOptions): string {
  if (!(cause instanceof Error)) return printable(inspect(cause, oneLine(options)));
  const shown = shownInstead(cause);
  if (shown !== undefined) return printable(`${cause.name}: ${shown}`);
  const code = codeOf(cause);
  return printable(
    `${cause.name}: ${withoutPasswords(cause.message)}${code === undefined || cause.message.includes(code) ? '' : ` (${code})`}`,
  );
}

// Colors are control characters, which would be escaped. The values of a failed check are hidden, also for `%o`.
function oneLine(options: InspectOptions): InspectOptions {
  return { ...options, colors: false, showHidden: false, compact: true, breakLength: Number.POSITIVE_INFINITY };
}

function codeOf(error: Error): string | undefined {
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'systemCode' in error && typeof error.systemCode === 'string' ? error.systemCode : undefined;
}

function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
