/** How the report names the contenders; the others keep their names. */
const LABELS = {
  'map-lookup': 'yardstick: one Map look-up',
  'crypto-verify': 'yardstick: one crypto.verify',
  'express-resource-server-uncached': 'this package, cache: false',
  'express-resource-server-cjs': 'this package, CommonJS',
  'express-resource-server': 'this package',
  'opaque-cached': 'this package',
  'opaque-naive': 'introspection of each token',
  'fast-jwt-cached': 'fast-jwt with its cache',
  'fast-jwt-jwks': 'fast-jwt with get-jwks',
};

export const labelOf = (name) => LABELS[name] ?? name;

export const isOurs = (name) => labelOf(name).startsWith('this package');

export const isYardstick = (name) => labelOf(name).startsWith('yardstick');

/** As many digits as a reader needs. */
export function brief(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 9.95) return Math.round(value).toLocaleString('en-US').replace('-', '−');
  const text = value.toFixed(1).replace('-', '−');
  return text === '−0.0' ? '0.0' : text;
}

/** With two digits, for ratios. */
export const ratio = (value) => (Number.isFinite(value) ? value.toFixed(2) : '–');
