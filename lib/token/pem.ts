const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----/gs;

/** One block of a PEM text (RFC 7468 §2). */
export interface PemBlock {
  readonly label: string;
  /** Only the block, with line breaks where they belong. */
  readonly text: string;
}

/**
 * The blocks of a PEM text; `undefined` if one of them is incomplete. Settings and files often lose the line breaks of a PEM
 * text, or contain them as `\n`, so both are accepted.
 */
export function readPemBlocks(text: string): PemBlock[] | undefined {
  const blocks = [...text.matchAll(BLOCK)];
  if (text.split('-----BEGIN ').length - 1 !== blocks.length) return undefined;
  return blocks.map(([, label = '', body = '']) => {
    const base64 = body.replaceAll('\\n', '').replaceAll(/\s+/g, '');
    const lines = base64.match(/.{1,64}/g) ?? [];
    return { label, text: `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n` };
  });
}

/** The fix for text that is not PEM. */
export function pemMistake(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  if (!value.includes('-----BEGIN ')) {
    return 'Pass the text of the key, which begins with -----BEGIN: readFileSync(path, "utf8") reads a file.';
  }
  return readPemBlocks(value) === undefined ? 'Pass the whole text, from -----BEGIN to -----END.' : undefined;
}
