/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @param {number[]} values @param {number} share  0 to 1 */
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
}

/**
 * A figure: the median of its rounds, and the spread of the rounds.
 *
 * @param {number[]} rounds
 */
export function figure(rounds) {
  return { median: median(rounds), min: Math.min(...rounds), max: Math.max(...rounds), rounds };
}

/** As many digits as a benchmark can justify. */
export function show(value) {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(size >= 10 ? 1 : 2);
}

export function showSpread({ min, max }) {
  return `${show(min)}..${show(max)}`;
}

/** JSON with five digits per number, and one line per list of numbers. */
export function toJson(value) {
  const rounded = (_key, each) => (typeof each === 'number' ? Number(each.toPrecision(5)) : each);
  const text = JSON.stringify(value, rounded, 1);
  return `${text.replaceAll(/\[[\d\s,.e+-]*\]/g, (list) => list.replaceAll(/\s+/g, ''))}\n`;
}
