/**
 * A table in plain text: the first column to the left, all others to the right.
 *
 * @param {string[]} columns
 * @param {string[][]} rows
 */
export function table(columns, rows) {
  const widths = columns.map((column, i) => Math.max(...[column, ...rows.map((row) => row[i])].map((c) => c.length)));
  const line = (cells) => cells.map((c, i) => (i === 0 ? c.padEnd(widths[i]) : c.padStart(widths[i]))).join('  ');
  return [line(columns), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}
