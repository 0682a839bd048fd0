import { beforeAll, describe, expect, it } from '@jest/globals';
import {
  type Fetch,
  introspectionVerifier,
  type IntrospectionVerifierOptions,
  jwtVerifier,
  type JwtVerifierOptions,
  memoryStore,
} from '../../lib/index.js';
import { makeSigningKey, type SigningKey } from '../../lib/testing/issuer.js';
import { verifyAsync } from '../support/helpers.js';

const PUBLIC = 'https://auth.example.com';
const AUDIENCE = 'https://api.example.com';

const PRIVATE = [
  ['this host', '0.0.0.0'],
  ['this host, short', '0'],
  ['this network', '0.1.2.3'],
  ['private 10/8', '10.0.0.1'],
  ['private 10/8, last', '10.255.255.255'],
  ['private 172.16/12', '172.16.0.1'],
  ['private 172.16/12, last', '172.31.255.255'],
  ['private 192.168/16', '192.168.1.1'],
  ['carrier-grade NAT', '100.64.0.1'],
  ['carrier-grade NAT, last', '100.127.255.255'],
  ['loopback', '127.0.0.1'],
  ['loopback, another', '127.8.8.8'],
  ['loopback, short', '127.1'],
  ['loopback, decimal', '2130706433'],
  ['loopback, hexadecimal', '0x7f000001'],
  ['loopback, hexadecimal with dots', '0x7f.0.0.0x1'],
  ['loopback, octal', '017700000001'],
  ['loopback, octal with dots', '0177.0.0.01'],
  ['loopback, percent-encoded', '%31%32%37.0.0.1'],
  ['loopback, full-width digits', '１２７．０．０．１'],
  ['loopback, with a dot at the end', '127.0.0.1.'],
  ['link-local', '169.254.1.1'],
  ['the metadata service of clouds', '169.254.169.254'],
  ['the metadata service of clouds, decimal', '2852039166'],
  ['protocol assignments', '192.0.0.192'],
  ['benchmarks', '198.18.0.1'],
  ['multicast', '224.0.0.1'],
  ['reserved', '240.0.0.1'],
  ['broadcast', '255.255.255.255'],
  ['IPv6 unspecified', '[::]'],
  ['IPv6 loopback', '[::1]'],
  ['IPv6 loopback, long', '[0:0:0:0:0:0:0:1]'],
  ['IPv6 unique local', '[fc00::1]'],
  ['IPv6 unique local, assigned here', '[fd12:3456::1]'],
  ['IPv6 link-local', '[fe80::1]'],
  ['IPv6 link-local, last', '[febf::1]'],
  ['IPv6 site-local', '[fec0::1]'],
  ['IPv6 multicast', '[ff02::1]'],
  ['IPv4-mapped', '[::ffff:127.0.0.1]'],
  ['IPv4-mapped, hexadecimal', '[::ffff:a00:1]'],
  ['IPv4-mapped, long', '[0:0:0:0:0:ffff:c0a8:101]'],
  ['IPv4-mapped, this host', '[::ffff:0.0.0.0]'],
  ['IPv4-mapped, metadata service', '[::FFFF:169.254.169.254]'],
  ['IPv4-compatible', '[::127.0.0.1]'],
  ['IPv4-translated', '[::ffff:0:10.0.0.1]'],
  ['NAT64', '[64:ff9b::10.0.0.1]'],
  ['local NAT64', '[64:ff9b:1::8.8.8.8]'],
  ['6to4', '[2002:a00:1::1]'],
  ['localhost', 'localhost'],
  ['localhost, upper case', 'LOCALHOST'],
  ['localhost, with a dot at the end', 'localhost.'],
  ['a name below localhost', 'keys.localhost'],
  ['a name below localhost, with a dot at the end', 'keys.localhost.'],
  ['localhost.localdomain', 'localhost.localdomain'],
  ['ip6-localhost', 'ip6-localhost'],
] as const;

const OTHERS = [
  ['a name', 'keys.example.net'],
  ['a name that begins like localhost', 'localhost.example.com'],
  ['a name that ends like localhost', 'notlocalhost'],
  ['a name of a cluster', 'kubernetes.default.svc.cluster.local'],
  ['a name of numbers', '10.0.0.1.example.com'],
  ['a public address', '8.8.8.8'],
  ['before 172.16/12', '172.15.255.255'],
  ['after 172.16/12', '172.32.0.1'],
  ['before 100.64/10', '100.63.255.255'],
  ['after 100.64/10', '100.128.0.1'],
  ['next to 192.168/16', '192.169.0.1'],
  ['next to 169.254/16', '169.253.0.1'],
  ['a public IPv6 address', '[2606:4700::1111]'],
  ['a public address, IPv4-mapped', '[::ffff:8.8.8.8]'],
  ['a public address, NAT64', '[64:ff9b::8.8.8.8]'],
] as const;

let key: SigningKey;

beforeAll(async () => {
  key = await makeSigningKey();
});

/** An authorization server at every address, and the requests that it received. */
function makeNetwork(issuer: string, addresses: Record<string, string>) {
  const requested: string[] = [];
  const fetch: Fetch = (url) => {
    requested.push(url);
    if (url.includes('/.well-known/') || url.includes('/metadata')) {
      return Promise.resolve(Response.json({ issuer, ...addresses }));
    }
    const isJwks = url.includes('/jwks');
    return Promise.resolve(
      Response.json(isJwks ? { keys: [key.publicJwk] } : { active: true, sub: 'a', client_id: 'b' }),
    );
  };
  return { requested, fetch };
}

function makeJwt(fetch: Fetch, options: Partial<JwtVerifierOptions> = {}) {
  return jwtVerifier({ issuer: PUBLIC, audience: AUDIENCE, fetch, ...options });
}

function makeIntrospection(fetch: Fetch, options: Partial<IntrospectionVerifierOptions> = {}) {
  const credentials = { clientId: 'api', clientSecret: 'secret' };
  return introspectionVerifier({ issuer: PUBLIC, audience: false, fetch, ...credentials, ...options });
}

describe('metadata of a public issuer', () => {
  it.each(PRIVATE)('cannot direct requests for keys to %s: %s', async (_, host) => {
    const { fetch, requested } = makeNetwork(PUBLIC, { jwks_uri: `https://${host}/jwks` });
    const error: unknown = await makeJwt(fetch)
      .ready()
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ status: 503, reason: 'keys_unavailable' });
    expect((error as Error).cause).toMatchObject({ message: expect.stringContaining('allowPrivateAddresses: true') });
    expect(requested.some((url) => url.includes('/jwks'))).toBe(false);
  });

  it.each(PRIVATE)('cannot direct tokens and credentials to %s: %s', async (_, host) => {
    const { fetch, requested } = makeNetwork(PUBLIC, { introspection_endpoint: `https://${host}/introspect` });
    const verifier = makeIntrospection(fetch);
    const error: unknown = await verifyAsync(verifier, 'token').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ status: 503, reason: 'introspection_unavailable' });
    expect((error as Error).cause).toMatchObject({ message: expect.stringContaining('allowPrivateAddresses: true') });
    expect(requested.some((url) => url.includes('/introspect'))).toBe(false);
    await verifier.close();
  });

  it.each(OTHERS)('may name %s: %s', async (_, host) => {
    const { fetch, requested } = makeNetwork(PUBLIC, { jwks_uri: `https://${host}/jwks` });
    const verifier = makeJwt(fetch);
    await verifier.ready();
    expect(requested.at(-1)).toContain('/jwks');
    await verifier.close();
  });

  it.each(PRIVATE)('may name %s with allowPrivateAddresses: %s', async (_, host) => {
    const addresses = { jwks_uri: `https://${host}/jwks`, introspection_endpoint: `https://${host}/introspect` };
    const { fetch, requested } = makeNetwork(PUBLIC, addresses);
    const verifier = makeJwt(fetch, { allowPrivateAddresses: true });
    await verifier.ready();
    expect(requested.at(-1)).toContain('/jwks');
    await verifier.close();
    const introspection = makeIntrospection(fetch, { allowPrivateAddresses: true });
    await expect(verifyAsync(introspection, 'token')).resolves.toMatchObject({ clientId: 'b' });
    await introspection.close();
  });

  it('cannot direct requests for the keys of signed responses to a private address', async () => {
    const addresses = { introspection_endpoint: `${PUBLIC}/introspect`, jwks_uri: 'https://10.0.0.1/jwks' };
    const { fetch, requested } = makeNetwork(PUBLIC, addresses);
    const verifier = makeIntrospection(fetch, { signedResponse: true });
    await expect(verifier.ready()).rejects.toMatchObject({ status: 503 });
    expect(requested.some((url) => url.includes('/jwks'))).toBe(false);
    await verifier.close();
  });

  it('cannot do so through a snapshot of an earlier process', async () => {
    const store = memoryStore();
    const { fetch, requested } = makeNetwork(PUBLIC, { jwks_uri: 'https://10.0.0.1/jwks' });
    const first = makeJwt(fetch, { allowPrivateAddresses: true, keySnapshot: store });
    await first.ready();
    await first.close();
    requested.length = 0;
    const second = makeJwt(fetch, { keySnapshot: store });
    await expect(second.ready()).rejects.toMatchObject({ reason: 'keys_unavailable' });
    expect(requested.some((url) => url.includes('/jwks'))).toBe(false);
    await second.close();
  });
});

describe('no option is needed', () => {
  it.each(['https://10.1.2.3', 'https://localhost:8443/realms/a', 'https://[fd00::1]', 'http://127.0.0.1:8080'])(
    'for an issuer that is private itself: %s',
    async (issuer) => {
      const { fetch, requested } = makeNetwork(issuer, { jwks_uri: 'https://192.168.7.7/jwks' });
      const verifier = makeJwt(fetch, { issuer });
      await verifier.ready();
      expect(requested.at(-1)).toBe('https://192.168.7.7/jwks');
      await verifier.close();
    },
  );

  it('for jwksUri and introspectionEndpoint in the options', async () => {
    const { fetch, requested } = makeNetwork(PUBLIC, {});
    const verifier = makeJwt(fetch, { jwksUri: 'https://10.0.0.1/jwks' });
    await verifier.ready();
    const introspection = makeIntrospection(fetch, { introspectionEndpoint: 'https://10.0.0.1/introspect' });
    await verifyAsync(introspection, 'token');
    expect(requested).toEqual(['https://10.0.0.1/jwks', 'https://10.0.0.1/introspect']);
    await verifier.close();
    await introspection.close();
  });

  it('for the origin of metadataUrl, but for other private addresses', async () => {
    const metadataUrl = 'https://10.0.0.1:8443/metadata';
    const same = makeNetwork(PUBLIC, { jwks_uri: 'https://10.0.0.1:8443/jwks' });
    const verifier = makeJwt(same.fetch, { metadataUrl });
    await verifier.ready();
    await verifier.close();
    const other = makeNetwork(PUBLIC, { jwks_uri: 'https://10.0.0.2:8443/jwks' });
    await expect(makeJwt(other.fetch, { metadataUrl }).ready()).rejects.toMatchObject({ reason: 'keys_unavailable' });
    expect(other.requested.some((url) => url.includes('/jwks'))).toBe(false);
  });
});
