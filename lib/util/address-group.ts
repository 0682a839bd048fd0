import { isIPv4, isIPv6 } from 'node:net';

/**
 * The group of callers that an address belongs to, '' for text that is not an address. An IPv4 address is a group. So are all
 * IPv6 addresses of one network, which are those with the same first 64 bits (RFC 4291 §2.5.1), because one caller can use
 * all of them. An IPv4-mapped address belongs to its IPv4 address. A port, which some proxies add, is ignored.
 */
export function addressGroup(address: string | undefined): string {
  const [, bracketed, withPort] = /^(?:\[([^\]]*)\](?::\d+)?|([\d.]+):\d+)$/.exec(address ?? '') ?? [];
  const [plain = ''] = (bracketed ?? withPort ?? address ?? '').split('%', 1);
  if (!isIPv6(plain)) return isIPv4(plain) ? plain : '';
  const words = wordsOf(plain);
  const isMapped = words.slice(0, 5).every((word) => word === 0) && words[5] === 0xffff;
  if (isMapped) return words.slice(6).flatMap(bytesOf).join('.');
  // Addresses that begin with three zero bits have no 64 bits of a network: most contain an IPv4 address.
  const hasNetwork = (words[0] ?? 0) >= 0x2000;
  return (hasNetwork ? words.slice(0, 4) : words).map((word) => word.toString(16)).join(':');
}

/** The eight groups of 16 bits. */
function wordsOf(address: string): number[] {
  const [head = [], tail] = address.split('::').map((part) => part.split(':').flatMap(readWords));
  if (tail === undefined) return head;
  return [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => 0), ...tail];
}

function readWords(text: string): number[] {
  if (text === '') return [];
  if (!isIPv4(text)) return [Number.parseInt(text, 16)];
  const [a = 0, b = 0, c = 0, d = 0] = text.split('.').map(Number);
  return [a * 256 + b, c * 256 + d];
}

function bytesOf(word: number): number[] {
  return [word >> 8, word & 255];
}
