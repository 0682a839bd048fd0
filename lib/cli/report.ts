import { escapeControls, render } from '../util/escape.js';
import type { Output } from './io.js';

/** The result of one check, as a command shows it. */
export interface ReportedCheck {
  readonly name: string;
  /** `'warning'`: not a failure now. `'not needed'`: absent, and nothing depends on it. */
  readonly state: 'passed' | 'failed' | 'warning' | 'not reached' | 'not needed';
  readonly expected: unknown;
  readonly found: unknown;
  readonly fix: string | undefined;
}

export type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow';

/** Puts a text into a style; without colors, returns it as it is. */
export type Paint = (style: Style, text: string) => string;

const CODES: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  green: [32, 39],
  red: [31, 39],
  yellow: [33, 39],
};

/** Colors for a terminal that shows them; none for pipes and files, and none with `NO_COLOR`. */
export function paintFor(output: Output): Paint {
  if (output.isTTY !== true || output.hasColors?.() !== true) return (_, text) => text;
  return (style, text) => {
    const [start, end] = CODES[style];
    return `\u001b[${start}m${text}\u001b[${end}m`;
  };
}

const STYLES: Readonly<Record<ReportedCheck['state'], Style>> = {
  passed: 'green',
  failed: 'red',
  warning: 'yellow',
  'not reached': 'yellow',
  'not needed': 'dim',
};
const STATE_WIDTH = 'not reached'.length;
const INDENT = ' '.repeat(STATE_WIDTH + 2);
const MAX_NAME_WIDTH = 30;
const MAX_LENGTH = 1_000;

/** A table of checks: one line for each that passed, and what to change below each other one. */
export function renderChecks(checks: readonly ReportedCheck[], paint: Paint): string {
  const names = checks.map(({ name }) => render(name).slice(1, -1));
  const width = Math.min(MAX_NAME_WIDTH, Math.max(0, ...names.map((name) => name.length)));
  const lines = checks.flatMap((check, i) => linesOf(check, (names[i] ?? '').padEnd(width), paint));
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

function linesOf({ state, expected, found, fix }: ReportedCheck, name: string, paint: Paint): string[] {
  const label = paint(STYLES[state], state.padEnd(STATE_WIDTH));
  const value = found === undefined ? '' : render(found, MAX_LENGTH);
  const details: string[] = [];
  if (state === 'failed' || state === 'warning') {
    if (expected !== undefined) details.push(`${INDENT}expected  ${render(expected, MAX_LENGTH)}`);
    details.push(`${INDENT}found     ${value === '' ? 'nothing' : value}`);
  }
  if (fix !== undefined) {
    const title = state === 'failed' ? 'fix       ' : 'note      ';
    details.push(`${INDENT}${title}${escapeControls(fix)}`);
  }
  const isShort = state !== 'failed' && state !== 'warning';
  return [`${label}  ${isShort ? `${name}  ${value}` : paint('bold', name)}`, ...details];
}

/** JSON of several lines in which every control character of a string is escaped. */
export function toJson(value: unknown): string {
  const lines = JSON.stringify(value, undefined, 2).split('\n');
  return lines.map(escapeControls).join('\n');
}
