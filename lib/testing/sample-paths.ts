/** Values of parameters: a number, a word, and one that no literal path of an application equals. */
const VALUES = ['1', 'a', 'x7f-3k.q~9'];

/** An escaped character; a wildcard; a parameter, with its regular expression and modifier (Express 4). */
const SPECIAL =
  /\\(.)|\*(?:"[^"]*"|[\p{ID_Start}$_][\p{ID_Continue}$]*)?|:(?:"[^"]*"|[\p{ID_Continue}$]+)(?:\((?:[^()\\]|\\.)*\))?[?+*]?/gu;

/**
 * Paths of requests that a path of Express 4 or 5 may match, for each way in which routers differ: values of parameters,
 * optional parts, letter case, and a slash at the end. Some of them may not match.
 */
export function samplesOf(path: string): string[] {
  const samples = VALUES.flatMap((value) =>
    [true, false].flatMap((hasOptional) =>
      [value, `${value}/${value}`].map((wildcard) => fill(path, { value, wildcard, hasOptional })),
    ),
  );
  const slashes = samples.flatMap((sample) => [sample.replace(/\/+$/, '') || '/', `${sample.replace(/\/+$/, '')}/`]);
  return [...new Set(slashes.flatMap((sample) => [sample, sample.toUpperCase()]))];
}

interface Filling {
  readonly value: string;
  readonly wildcard: string;
  readonly hasOptional: boolean;
}

function fill(path: string, { value, wildcard, hasOptional }: Filling): string {
  let text = path;
  // The innermost optional parts of Express 5 first.
  for (let before = ''; before !== text;) {
    before = text;
    text = text.replaceAll(/(?<!\\)\{([^{}]*)(?<!\\)\}/g, hasOptional ? '$1' : '');
  }
  return text.replaceAll(SPECIAL, (match, escaped?: string) => {
    if (escaped !== undefined) return escaped;
    if (match.startsWith('*')) return wildcard;
    return match.endsWith('?') && !hasOptional ? '' : value;
  });
}

/** A path below the path where its router is mounted. */
export function joinPaths(mount: string, path: string): string {
  const base = mount.replace(/\/+$/, '');
  return /^[/{]/.test(path) || path === '' ? `${base}${path}` : `${base}/${path}`;
}

/** A path as it is reported: without a slash at the end. */
export function displayPath(path: string): string {
  return path.replace(/\/+$/, '') || '/';
}
