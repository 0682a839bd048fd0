/** White space, and characters that nobody sees: text that was copied or read from a file often has them around it. */
const SPACE = '[\\s\\u200b-\\u200d\\u2060\\ufeff]';
const SPACE_AROUND = new RegExp(`^${SPACE}|${SPACE}$`);

/** What a program makes of a value that is not a text, or that is missing. */
const NO_TEXT = /^(?:undefined|null|NaN|\[object \w+\])$/;

/** The fix for a text that was read or built in a wrong way, as settings of the environment and of files often are. */
export function settingMistake(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  if (SPACE_AROUND.test(value)) {
    return 'Remove the white space around it: files that hold settings often end in a line break.';
  }
  if (/^(["'`]).*\1$/s.test(value)) return 'Remove the quotes around it.';
  if (NO_TEXT.test(value)) return 'A setting is missing, or it is not a text: check where this value comes from.';
  // eslint-disable-next-line no-control-regex -- these are the characters
  return /[\u0000-\u001f\u007f]/.test(value) ? 'Remove the line breaks and control characters.' : undefined;
}

/** The same for a URL, whose parts may come from settings. */
export function urlMistake(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const mistake = settingMistake(value);
  if (mistake !== undefined) return mistake;
  if (/[{}<>]/.test(value)) return 'Replace the part in braces with the value for your tenant.';
  if (/^https?:\/\/https?:/.test(value)) return 'Write the scheme once.';
  if (/^https?:.*[,;\s]\s*https?:/.test(value))
    return 'Pass one URL. Several belong into an array, or into arguments of their own.';
  const parts = value.replace(/^https?:\/\//, '').split(/[./:?#=&]/);
  const isPartMissing = /^https?:\/\/([/:]|$)/.test(value) || parts.some((part) => NO_TEXT.test(decode(part)));
  return isPartMissing ? 'A setting that the URL is built from is missing.' : undefined;
}

function decode(part: string): string {
  return part.replaceAll('%20', ' ');
}

/** The same for an issuer: no token has an issuer with such a path. */
export function issuerMistake(value: unknown): string | undefined {
  const isDiscovery = typeof value === 'string' && /\/\.well-known(?:\/|$)/.test(value);
  return urlMistake(value) ?? (isDiscovery ? 'Pass the issuer, without /.well-known/….' : undefined);
}
