import { BlockList } from 'node:net';

/**
 * Address blocks of IPv4 that do not belong to the public network: this host, private, shared (carrier-grade NAT), loopback,
 * link-local (also the metadata services of clouds), protocol assignments, benchmarks, multicast and reserved (RFC 6890).
 */
const IPV4_BLOCKS: readonly (readonly [address: string, prefix: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
];

/**
 * The same for IPv6: local NAT64 (RFC 8215), discard, unique local, link-local, site-local and multicast. The unspecified and
 * the loopback address are in `::/96`.
 */
const IPV6_BLOCKS: readonly (readonly [address: string, prefix: number])[] = [
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
];

/**
 * Prefixes of IPv6 addresses that contain an IPv4 address, with their length in bits: IPv4-compatible, IPv4-mapped (RFC
 * 4291 §2.5.5), IPv4-translated (RFC 2765), NAT64 (RFC 6052) and 6to4 (RFC 3056).
 */
const EMBEDDING: readonly (readonly [groups: string, prefix: number])[] = [
  ['0:0:0:0:0:0', 96],
  ['0:0:0:0:0:ffff', 96],
  ['0:0:0:0:ffff:0', 96],
  ['64:ff9b:0:0:0:0', 96],
  ['2002', 16],
];

/** Names that /etc/hosts of usual systems maps to this machine. */
const LOCAL_NAMES =
  /(?:^|\.)localhost$|^(?:localhost\.localdomain|localhost6(?:\.localdomain6)?|ip6-localhost|ip6-loopback)$/;

const privateAddresses = new BlockList();
for (const [address, prefix] of IPV4_BLOCKS) {
  privateAddresses.addSubnet(address, prefix, 'ipv4');
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  const embedded = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  for (const [groups, length] of EMBEDDING) {
    const missing = length === 96 ? '' : '::';
    privateAddresses.addSubnet(`${groups}:${embedded}${missing}`, length + prefix, 'ipv6');
  }
}
for (const [address, prefix] of IPV6_BLOCKS) privateAddresses.addSubnet(address, prefix, 'ipv6');

/**
 * Whether the host of a URL is `localhost` or the literal of an address that does not belong to the public network. Names are
 * not resolved. `hostname` is the one of a WHATWG `URL`, which has read decimal, octal, hexadecimal and short forms of IPv4
 * addresses already.
 */
export function isPrivateHost(hostname: string): boolean {
  if (hostname.startsWith('[')) return privateAddresses.check(hostname.slice(1, -1), 'ipv6');
  const name = hostname.replace(/\.+$/, '');
  return /^[\d.]+$/.test(name) ? privateAddresses.check(name, 'ipv4') : LOCAL_NAMES.test(name);
}
