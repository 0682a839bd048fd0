import { describe, expect, it } from '@jest/globals';
import { addressGroup } from '../../lib/util/address-group.js';

describe('addressGroup', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::ffff:c000:207', '192.0.2.7'],
    ['0:0:0:0:0:ffff:192.0.2.7', '192.0.2.7'],
    ['192.0.2.7:4711', '192.0.2.7'],
    ['[::ffff:192.0.2.7]:4711', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:DB8:1:2::6', '2001:db8:1:2'],
    ['2001:0db8:0001:0002:ffff:ffff:ffff:ffff', '2001:db8:1:2'],
    ['[2001:db8:1:2::6]', '2001:db8:1:2'],
    ['[2001:db8:1:2::6]:443', '2001:db8:1:2'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['2001::1:2:3:4:5', '2001:0:0:1'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['::1', '0:0:0:0:0:0:0:1'],
    ['::', '0:0:0:0:0:0:0:0'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0:0:0:c000:207'],
    ['64:ff9b::192.0.2.8', '64:ff9b:0:0:0:0:c000:208'],
  ])('puts %s into the group %s', (address, group) => {
    expect(addressGroup(address)).toBe(group);
  });

  it.each([
    undefined,
    '',
    'unknown',
    '_hidden',
    '999.0.0.1',
    '1.2.3.4.5:80',
    '[192.0.2.7',
    '2001:db8',
    'a'.repeat(1_000),
  ])('puts %p, which is not an address, into one group', (address) => {
    expect(addressGroup(address)).toBe('');
  });
});
