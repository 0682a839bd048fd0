/**
 * Replaces the text between `<!-- bench: NAME -->` and `<!-- /bench -->` of a page.
 *
 * @param {string} page
 * @param {Record<string, string>} blocks  By name. The page has each of them once.
 */
export function fill(page, blocks) {
  const missing = new Set(Object.keys(blocks));
  const filled = page.replaceAll(/(<!-- bench: (\w+) -->\n).*?(<!-- \/bench -->)/gs, (_, start, name, end) => {
    if (!missing.delete(name)) throw new Error(`The page has a block "${name}" that is unknown or repeated.`);
    return `${start}\n${blocks[name]}\n\n${end}`;
  });
  if (missing.size > 0) throw new Error(`The page has no block ${[...missing].join(', ')}.`);
  return filled;
}
