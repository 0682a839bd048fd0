/** The parts of a request with its header fields. Every Node request has them. */
export interface FieldSource {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Name, value, name, value …, as received. Only here, a repeated field is visible. */
  readonly rawHeaders?: readonly string[] | undefined;
}

/** The value of a field that was sent once, `undefined` for a field that was not sent, `'several'` for a repeated one. */
export type Field = { readonly value: string } | 'several' | undefined;

/**
 * Reads a field that may be sent once. Of a repeated field, Node keeps the first value or joins the values, while a proxy
 * before it may have checked another one. The name must be in lower case.
 */
export function readField({ headers, rawHeaders }: FieldSource, name: string): Field {
  const value = headers[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || (rawHeaders !== undefined && countOf(rawHeaders, name) > 1)) return 'several';
  return { value };
}

function countOf(rawHeaders: readonly string[], name: string): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const each = rawHeaders[i];
    if (each?.length === name.length && each.toLowerCase() === name) count++;
  }
  return count;
}
