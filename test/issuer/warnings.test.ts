import type { ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import {
  type IntrospectionVerifierOptions,
  jwtVerifier,
  type JwtVerifier,
  type JwtVerifierOptions,
  memoryStore,
  type Store,
  type TokenVerifier,
} from '../../lib/index.js';
import type { Fault } from '../../lib/testing/faults.js';
import { makeSigningKey, type TestIssuer } from '../../lib/testing/issuer.js';
import { makeCertificate } from '../support/certificates.js';
import { createScene, present, serveDpop } from '../support/dpop.js';
import { startIssuer, verifyAsync } from '../support/helpers.js';
import { SECRET, verifierFor } from '../support/introspection.js';
import { advance, simulateTime, watchedFetch } from '../support/time.js';
import { listenTls } from '../support/tls.js';
import { codesOf, type RecordedWarning, recordWarnings } from '../support/warnings.js';

simulateTime();

const scene = createScene();

function jwtVerifierOf(issuer: TestIssuer, options: Partial<JwtVerifierOptions> = {}): JwtVerifier {
  return jwtVerifier({ issuer: issuer.url, audience: issuer.audience, fetch: watchedFetch, ...options });
}

/** Verifies a new token, whatever the result is. */
async function attempt(verifier: TokenVerifier, token: string): Promise<void> {
  await verifyAsync(verifier, token).catch(() => undefined);
}

const textOf = (warnings: readonly RecordedWarning[], index = 0): string => warnings[index]?.message ?? '';

/** A mistake of the authorization server or of the options, and the warning about it. */
interface Mistake {
  readonly name: string;
  readonly options?: (issuer: TestIssuer) => Partial<JwtVerifierOptions>;
  readonly begin: (issuer: TestIssuer) => unknown;
  readonly end?: (issuer: TestIssuer) => unknown;
  readonly code: string;
  readonly says: readonly (string | RegExp)[];
}

const heal = (issuer: TestIssuer): void => {
  issuer.heal();
};

/** The error of undici's `fetch` with a `ProxyAgent`. */
function tunnelFailure(status: number): TypeError {
  const message = `Proxy response (${status}) !== 200 when HTTP Tunneling`;
  const aborted = Object.assign(new Error(message), { name: 'AbortError', code: 'UND_ERR_ABORTED' });
  return new TypeError('fetch failed', {
    cause: Object.assign(new Error('Request was cancelled.', { cause: aborted }), { code: 0 }),
  });
}

const badGateway = (res: ServerResponse): unknown =>
  res.writeHead(502, { 'Content-Type': 'text/html' }).end('<h1>secret words of a proxy</h1>');

const DOCUMENT_MISTAKES: readonly Mistake[] = [
  {
    name: 'the server refuses connections',
    begin: (issuer) => issuer.goDown(),
    end: (issuer) => issuer.comeBack(),
    code: 'ERS_UNREACHABLE',
    says: [/127\.0\.0\.1:\d+\/\.well-known\/openid-configuration/, 'ECONNREFUSED', /since \d{4}-\d\d-\d\dT/, '503'],
  },
  {
    name: 'the server does not respond in time',
    options: () => ({ fetch: () => Promise.reject(Object.assign(new Error(), { code: 'UND_ERR_HEADERS_TIMEOUT' })) }),
    begin: () => undefined,
    code: 'ERS_UNREACHABLE',
    says: ['UND_ERR_HEADERS_TIMEOUT'],
  },
  {
    name: 'the name of the server does not exist',
    options: () => ({
      fetch: () => Promise.reject(new TypeError('fetch failed', { cause: dnsFailure('auth.example.com') })),
    }),
    begin: () => undefined,
    code: 'ERS_UNREACHABLE',
    says: ['ENOTFOUND', 'auth.example.com', 'DNS'],
  },
  {
    name: 'a proxy does not open a tunnel to the server',
    options: () => ({ fetch: () => Promise.reject(tunnelFailure(407)) }),
    begin: () => undefined,
    code: 'ERS_UNREACHABLE',
    says: ['the proxy responded 407'],
  },
  {
    name: 'the keys are at a port that fetch does not call',
    begin: (issuer) => {
      issuer.metadata.jwks_uri = 'http://127.0.0.1:6000/';
    },
    end: (issuer) => {
      delete issuer.metadata.jwks_uri;
    },
    code: 'ERS_UNREACHABLE',
    says: ['fetch does not call this port'],
  },
  {
    name: 'the server responds 304 without a reason',
    begin: (issuer) => {
      issuer.fail('metadata', (res) => res.writeHead(304).end());
    },
    end: heal,
    code: 'ERS_STATUS',
    says: ['responded 304'],
  },
  {
    name: 'a proxy responds 502 with HTML',
    begin: (issuer) => {
      issuer.fail('metadata', badGateway);
    },
    end: heal,
    code: 'ERS_STATUS',
    says: ['502', 'HTML'],
  },
  {
    name: 'the metadata is behind a redirect',
    begin: (issuer) => {
      issuer.fail('metadata', 'redirect');
    },
    end: heal,
    code: 'ERS_REDIRECT',
    says: ['redirects to another origin'],
  },
  {
    name: 'the metadata is HTML',
    begin: (issuer) => {
      issuer.fail('metadata', 'html');
    },
    end: heal,
    code: 'ERS_NOT_JSON',
    says: ['HTML'],
  },
  {
    name: 'the metadata is no JSON',
    begin: (issuer) => {
      issuer.fail('metadata', 'truncated');
    },
    end: heal,
    code: 'ERS_NOT_JSON',
    says: ['JSON'],
  },
  {
    name: 'there is no metadata',
    begin: (issuer) => {
      issuer.fail('metadata', 'missing');
    },
    end: heal,
    code: 'ERS_STATUS',
    says: ['openid-configuration responded 404', 'oauth-authorization-server responded 404'],
  },
  {
    name: 'the metadata has no jwks_uri',
    begin: (issuer) => {
      issuer.metadata.jwks_uri = undefined;
    },
    end: (issuer) => {
      delete issuer.metadata.jwks_uri;
    },
    code: 'ERS_JWKS_URI_MISSING',
    says: ['jwks_uri', 'jwksUri'],
  },
  {
    name: 'the keys are behind 401',
    begin: (issuer) => {
      issuer.fail('jwks', (res) => res.writeHead(401).end());
    },
    end: heal,
    code: 'ERS_JWKS_FORBIDDEN',
    says: ['(jwks_uri of the metadata) responded 401'],
  },
  {
    name: 'the keys are behind 403',
    begin: (issuer) => {
      issuer.fail('jwks', (res) => res.writeHead(403).end());
    },
    end: heal,
    code: 'ERS_JWKS_FORBIDDEN',
    says: ['(jwks_uri of the metadata) responded 403'],
  },
  {
    name: 'the keys are HTML',
    begin: (issuer) => {
      issuer.fail('jwks', 'html');
    },
    end: heal,
    code: 'ERS_NOT_JSON',
    says: ['(jwks_uri of the metadata) returned an HTML page'],
  },
  {
    name: 'the set of keys is empty',
    begin: (issuer) => {
      issuer.published = [];
    },
    end: (issuer) => {
      issuer.published = [issuer.key.publicJwk];
    },
    code: 'ERS_NO_USABLE_KEY',
    says: ['the set is empty'],
  },
  {
    name: 'no key can be used',
    begin: (issuer) => {
      const { publicJwk } = issuer.key;
      issuer.published = [
        { ...publicJwk, use: 'enc' },
        { kty: 'oct', k: 'c2VjcmV0', kid: 'symmetric' },
        { ...publicJwk, d: 'private' },
        { ...publicJwk, kty: 'RSA', n: 'AQAB', e: 'AQAB', alg: 'RS256' },
        { ...publicJwk, alg: 'something\u2028else' },
        { ...publicJwk, alg: undefined, crv: 'secp256k1' },
        'no object',
        { ...publicJwk, x: 'AA' },
      ];
    },
    end: (issuer) => {
      issuer.published = [issuer.key.publicJwk];
    },
    code: 'ERS_NO_USABLE_KEY',
    says: [
      'key 1: its use is "enc", not "sig"',
      'key 2: it is symmetric',
      'key 3: it contains a private key',
      'key 4: it has 17 bits',
      'key 5: its alg unknown is not a signature algorithm',
      'key 6: its type "EC" or curve "secp256k1" is not supported',
      'key 7: it is not a JSON object',
      'key 8: its members do not form a public key',
    ],
  },
];

function dnsFailure(hostname: string): Error {
  const details = { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname };
  return Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), details);
}

describe('a mistake that makes the keys unavailable', () => {
  it.each(DOCUMENT_MISTAKES)('causes one warning, and one when it ends: $name', async (mistake) => {
    const { options, begin, end, code, says } = mistake;
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    const verifier = jwtVerifierOf(issuer, options?.(issuer));
    await begin(issuer);
    for (let i = 0; i < 4; i++) {
      await attempt(verifier, await issuer.issue());
      await advance({ seconds: 40 });
    }
    expect(codesOf(warnings)).toEqual([code]);
    for (const part of [issuer.url, ...says]) expect(textOf(warnings)).toMatch(part);
    expect(textOf(warnings)).not.toMatch(/secret words|symmetric"|else/);
    if (end !== undefined) {
      await end(issuer);
      await advance({ seconds: 40 });
      await attempt(verifier, await issuer.issue());
      await attempt(verifier, await issuer.issue());
      expect(codesOf(warnings)).toEqual([code, `${code}_RESOLVED`]);
      expect(textOf(warnings, 1)).toMatch(/after 1\d\d seconds/);
    }
    await verifier.close();
  });

  it('causes a new warning when its cause changes, and one when all works again', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    const verifier = jwtVerifierOf(issuer);
    await issuer.goDown();
    await attempt(verifier, await issuer.issue());
    await issuer.comeBack();
    issuer.fail('jwks', badGateway);
    for (let i = 0; i < 3; i++) await advance({ seconds: 40 });
    issuer.fail('jwks', 'html');
    await advance({ seconds: 40 });
    issuer.heal();
    await advance({ seconds: 40 });
    await setImmediate();
    const expected = [
      'ERS_UNREACHABLE',
      'ERS_UNREACHABLE_RESOLVED',
      'ERS_STATUS',
      'ERS_NOT_JSON',
      'ERS_NOT_JSON_RESOLVED',
    ];
    expect(codesOf(warnings)).toEqual(expected);
    await verifier.close();
  });

  it('turns from an unreachable server into a bad gateway without a recovery', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    const verifier = jwtVerifierOf(issuer);
    await issuer.goDown();
    await attempt(verifier, await issuer.issue());
    await issuer.comeBack();
    issuer.fail('metadata', badGateway);
    await advance({ seconds: 40 });
    await issuer.goDown();
    await advance({ seconds: 40 });
    issuer.heal();
    await issuer.comeBack();
    await advance({ seconds: 40 });
    await setImmediate();
    const expected = ['ERS_UNREACHABLE', 'ERS_STATUS', 'ERS_UNREACHABLE', 'ERS_UNREACHABLE_RESOLVED'];
    expect(codesOf(warnings)).toEqual(expected);
    await verifier.close();
  });

  it('causes one warning for each verifier', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    await issuer.goDown();
    const token = await issuer.issue();
    const verifiers = [jwtVerifierOf(issuer), jwtVerifierOf(issuer)];
    for (const verifier of verifiers) for (let i = 0; i < 2; i++) await attempt(verifier, token);
    expect(codesOf(warnings).filter((code) => code === 'ERS_UNREACHABLE')).toHaveLength(2);
    for (const verifier of verifiers) await verifier.close();
  });

  it('causes no warning if close ends the request', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    issuer.fail('metadata', 'hang');
    const verifier = jwtVerifierOf(issuer);
    const attempted = attempt(verifier, await issuer.issue());
    await setImmediate();
    await verifier.close();
    await attempted;
    expect(warnings).toEqual([]);
  });
});

describe('an outage while there are keys', () => {
  it('says until when they are used, then that they are stale, then that all is well', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    const verifier = jwtVerifierOf(issuer, { keys: { refreshInterval: 60, maxStale: 3_600 } });
    await attempt(verifier, await issuer.issue());
    const until = new Date(Date.now() + 3_660_000).toISOString();
    await issuer.goDown();
    await advance({ seconds: 56 });
    expect(codesOf(warnings)).toEqual(['ERS_UNREACHABLE']);
    expect(textOf(warnings)).toContain(`The cached keys stay in use until ${until.slice(0, 16)}`);
    await advance({ seconds: 10 });
    for (let i = 0; i < 3; i++) await attempt(verifier, await issuer.issue());
    expect(codesOf(warnings)).toEqual(['ERS_UNREACHABLE', 'ERS_STALE_KEYS']);
    await issuer.comeBack();
    await advance({ seconds: 40 });
    await attempt(verifier, await issuer.issue());
    expect(codesOf(warnings).slice(2).sort()).toEqual(['ERS_STALE_KEYS_RESOLVED', 'ERS_UNREACHABLE_RESOLVED']);
    await verifier.close();
  });

  it('says so if there are none left', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    const verifier = jwtVerifierOf(issuer, { keys: { refreshInterval: 60, maxStale: 0 } });
    await attempt(verifier, await issuer.issue());
    await advance({ seconds: 61 });
    await issuer.goDown();
    await advance({ seconds: 70 });
    await attempt(verifier, await issuer.issue());
    expect(codesOf(warnings)).toContain('ERS_UNREACHABLE');
    await verifier.close();
  });
});

describe('metadata of another issuer', () => {
  it.each<[string, (url: string) => unknown, string]>([
    ['with a trailing slash', (url) => `${url}/`, 'they differ only by the trailing slash'],
    ['in another letter case', (url) => url.toUpperCase().replace('HTTP', 'http') + '/Tenant', 'is metadata of'],
    ['localhost', (url) => url.replace('127.0.0.1', 'localhost'), 'the name of the host (localhost, 127.0.0.1)'],
    ['another host', () => 'https://other.example.com', '"https://other.example.com"'],
    ['characters that forge lines', () => 'https://a\u2028b\nc', '"https://a\\u2028b\\nc"'],
    ['none', () => undefined, 'no issuer'],
    ['a long one', () => `https://${'a'.repeat(5_000)}.example.com`, 'aaa…'],
  ])('causes a warning with both values: %s', async (_, other, says) => {
    const issuer = await startIssuer();
    issuer.metadata.issuer = other(issuer.url);
    const warnings = recordWarnings();
    const verifier = jwtVerifierOf(issuer);
    for (let i = 0; i < 2; i++) await attempt(verifier, await issuer.issue());
    expect(codesOf(warnings)).toEqual(['ERS_ISSUER_MISMATCH']);
    expect(textOf(warnings)).toContain(says);
    expect(textOf(warnings)).toContain(`"${issuer.url}"`);
    expect(textOf(warnings).length).toBeLessThan(1_500);
    delete issuer.metadata.issuer;
    await advance({ seconds: 40 });
    await attempt(verifier, await issuer.issue());
    expect(codesOf(warnings)).toEqual(['ERS_ISSUER_MISMATCH', 'ERS_ISSUER_MISMATCH_RESOLVED']);
    await verifier.close();
  });
});

describe('a certificate that is not trusted', () => {
  it('causes a warning with the code, the host and NODE_EXTRA_CA_CERTS', async () => {
    const port = await listenTls((_req, res) => res.end(), makeCertificate('localhost'), { requestCert: false });
    const warnings = recordWarnings();
    const url = `https://localhost:${port}`;
    const verifier = jwtVerifier({ issuer: url, audience: 'api', fetch: watchedFetch });
    for (let i = 0; i < 2; i++) await verifier.ready().catch(() => undefined);
    await setImmediate();
    expect(codesOf(warnings)).toEqual(['ERS_TLS']);
    expect(textOf(warnings)).toMatch(/localhost:\d+.*DEPTH_ZERO_SELF_SIGNED_CERT.*NODE_EXTRA_CA_CERTS/);
    await verifier.close();
  });
});

describe('introspection that does not work', () => {
  const introspects = async (
    options: Partial<IntrospectionVerifierOptions>,
    begin: (issuer: TestIssuer) => unknown,
    end: (issuer: TestIssuer) => unknown,
  ): Promise<RecordedWarning[]> => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    await begin(issuer);
    const verifier = verifierFor(issuer, options);
    for (let i = 0; i < 3; i++) {
      await attempt(verifier, issuer.issueOpaque());
      await advance({ seconds: 40 });
    }
    const count = warnings.length;
    await end(issuer);
    await advance({ seconds: 40 });
    for (let i = 0; i < 2; i++) await attempt(verifier, issuer.issueOpaque());
    expect(warnings).toHaveLength(count + 1);
    await verifier.close();
    return warnings;
  };

  it.each([400, 401, 403] as const)('because of our credentials causes one warning: %i', async (status) => {
    const warnings = await introspects(
      {},
      ({ introspection }) => {
        introspection.rejectionStatus = status;
        introspection.client = { id: 'api', secret: 'another' };
      },
      ({ introspection }) => {
        introspection.client = { id: 'api', secret: SECRET };
      },
    );
    expect(codesOf(warnings)).toEqual(['ERS_CREDENTIALS_REJECTED', 'ERS_CREDENTIALS_REJECTED_RESOLVED']);
    expect(textOf(warnings)).toMatch(/responded 40[013].*Check clientId, clientSecret/);
    expect(JSON.stringify(warnings)).not.toContain(SECRET);
  });

  it('because of the function that returns the secret causes one warning, without its message', async () => {
    let isBroken = true;
    const clientSecret = () => {
      if (isBroken) throw Object.assign(new TypeError(`the vault returned ${SECRET}`), { code: 'VAULT_SEALED' });
      return SECRET;
    };
    const warnings = await introspects(
      { clientSecret },
      () => undefined,
      () => {
        isBroken = false;
      },
    );
    expect(codesOf(warnings)).toEqual(['ERS_CREDENTIALS_UNAVAILABLE', 'ERS_CREDENTIALS_UNAVAILABLE_RESOLVED']);
    expect(textOf(warnings)).toContain('failed (VAULT_SEALED)');
    expect(JSON.stringify(warnings)).not.toContain(SECRET);
  });

  it('because the metadata names no endpoint causes one warning', async () => {
    const warnings = await introspects(
      {},
      ({ metadata }) => {
        metadata.introspection_endpoint = undefined;
      },
      async (issuer) => {
        delete issuer.metadata.introspection_endpoint;
        await advance({ seconds: 600 });
      },
    );
    expect(codesOf(warnings)).toEqual(['ERS_INTROSPECTION_MISSING', 'ERS_INTROSPECTION_MISSING_RESOLVED']);
    expect(textOf(warnings)).toContain('introspectionEndpoint');
  });

  it.each([
    ['missing', 'ERS_INTROSPECTION_MISSING', '404'],
    ['redirect', 'ERS_REDIRECT', 'redirects'],
    ['html', 'ERS_NOT_JSON', 'HTML page'],
    ['error', 'ERS_STATUS', '500'],
    ['hangup', 'ERS_UNREACHABLE', 'Cached results stay in use for 60 seconds'],
  ] as const)('because of a response causes one warning: %s', async (fault, code, says) => {
    const warnings = await introspects(
      {},
      (issuer) => {
        issuer.fail('introspection', fault);
      },
      heal,
    );
    expect(codesOf(warnings)).toEqual([code, `${code}_RESOLVED`]);
    expect(textOf(warnings)).toContain(says);
  });

  it('for one token only, because it ends the connection, causes no warning', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    const verifier = verifierFor(issuer);
    const poisoned = issuer.issueOpaque();
    issuer.introspection.failFor(poisoned, 'hangup');
    for (let i = 0; i < 3; i++) await attempt(verifier, poisoned);
    await attempt(verifier, issuer.issueOpaque());
    expect(warnings).toEqual([]);
  });

  it('that has never worked is reported without a further request', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    const verifier = verifierFor(issuer);
    issuer.fail('introspection', 'error');
    await attempt(verifier, issuer.issueOpaque());
    expect(warnings).toHaveLength(1);
    expect(issuer.requests.introspection).toBe(1);
  });

  it.each<Fault>(['error', 'html', 'truncated', 'huge'])(
    'for one token only, because the server responds to it with an error, causes no warning: %s',
    async (fault) => {
      const issuer = await startIssuer();
      const warnings = recordWarnings();
      const verifier = verifierFor(issuer, { maxBytes: 100_000 });
      await attempt(verifier, issuer.issueOpaque());
      for (let i = 0; i < 20; i++) {
        issuer.introspection.failFor(`poisoned ${i}`, fault);
        await attempt(verifier, `poisoned ${i}`);
        expect(verifier.health()).toMatchObject({ introspection: { state: 'available' } });
        await attempt(verifier, issuer.issueOpaque());
        await advance({ seconds: 10 });
      }
      expect(warnings).toEqual([]);
      // A probe says that the server works. Callers must not choose how often it is sent.
      expect(issuer.requests.introspection).toBeLessThan(50);
      issuer.fail('introspection', fault);
      await advance({ seconds: 30 });
      for (let i = 0; i < 3; i++) await attempt(verifier, issuer.issueOpaque());
      expect(warnings).toHaveLength(1);
    },
  );

  it('names the endpoint if there is no issuer, without its query', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    issuer.fail('introspection', 'error');
    const introspectionEndpoint = `${issuer.introspectionEndpoint}?key=${SECRET}`;
    const verifier = verifierFor(issuer, { issuer: undefined, introspectionEndpoint });
    await attempt(verifier, issuer.issueOpaque());
    expect(textOf(warnings)).toContain(issuer.introspectionEndpoint);
    expect(textOf(warnings)).not.toContain(SECRET);
  });
});

describe('clocks that differ', () => {
  it.each([
    [3_600, 'behind'],
    [-3_600, 'ahead of'],
  ])('by %i seconds cause one warning: this machine is %s', async (difference, direction) => {
    const time = { difference };
    const clock = () => Date.now() / 1000 + time.difference;
    const issuer = await startIssuer({ clock });
    const warnings = recordWarnings();
    const verifier = jwtVerifierOf(issuer, { keys: { refreshInterval: 60 } });
    await verifier.ready();
    await advance({ seconds: 200 });
    await setImmediate();
    expect(codesOf(warnings)).toEqual(['ERS_CLOCK_DIFFERENCE']);
    expect(textOf(warnings)).toMatch(new RegExp(`(3600|3599) seconds ${direction} the clock of ${issuer.url}`));
    time.difference = 0;
    await advance({ seconds: 60 });
    await setImmediate();
    expect(codesOf(warnings)).toEqual(['ERS_CLOCK_DIFFERENCE', 'ERS_CLOCK_DIFFERENCE_RESOLVED']);
    await verifier.close();
  });

  it.each([8, -8])('by no more than the tolerance cause none: %i seconds', async (difference) => {
    const issuer = await startIssuer({ clock: () => Date.now() / 1000 + difference });
    const warnings = recordWarnings();
    const verifier = jwtVerifierOf(issuer);
    await verifier.ready();
    await verifierFor(issuer).verify(issuer.issueOpaque());
    await setImmediate();
    expect(warnings).toEqual([]);
    await verifier.close();
  });

  it('are compared with the Age of a response from a cache', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    const aged = { date: new Date(Date.now() - 7_200_000).toUTCString(), age: '7200' };
    const verifier = jwtVerifierOf(issuer, {
      fetch: async (url, init) => {
        const response = await fetch(url, init);
        return new Response(await response.text(), { headers: aged });
      },
    });
    await verifier.ready();
    await setImmediate();
    expect(warnings).toEqual([]);
    await verifier.close();
  });
});

describe('a store that fails', () => {
  /** A store that can be turned off. */
  function switchable(): { store: Store; state: { isDown: boolean } } {
    const inner = memoryStore();
    const state = { isDown: false };
    const call = <T>(run: () => Promise<T>): Promise<T> =>
      state.isDown ? Promise.reject(new Error('connect ECONNREFUSED 127.0.0.1:6379')) : run();
    const store: Store = {
      get: (key) => call(() => inner.get(key)),
      set: (key, value, lifetime) => call(() => inner.set(key, value, lifetime)),
      add: (key, lifetime) => call(() => inner.add(key, lifetime)),
      delete: (key) => call(() => inner.delete(key)),
    };
    return { store, state };
  }

  it('causes one warning, and one when it works again: store', async () => {
    const { store, state } = switchable();
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    const verifier = verifierFor(issuer, { store });
    state.isDown = true;
    for (let i = 0; i < 3; i++) {
      await attempt(verifier, issuer.issueOpaque());
      await advance({ seconds: 31 });
    }
    expect(codesOf(warnings)).toEqual(['ERS_STORE']);
    expect(textOf(warnings)).toMatch(/option store fails since .*ECONNREFUSED 127\.0\.0\.1:6379/);
    state.isDown = false;
    for (let i = 0; i < 2; i++) await attempt(verifier, issuer.issueOpaque());
    expect(codesOf(warnings)).toEqual(['ERS_STORE', 'ERS_STORE_RESOLVED']);
  });

  it('causes one warning, and one when it works again: keySnapshot', async () => {
    const { store, state } = switchable();
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    state.isDown = true;
    const verifier = jwtVerifierOf(issuer, { keySnapshot: store, keys: { refreshInterval: 60 } });
    await verifier.ready();
    await advance({ seconds: 120 });
    await setImmediate();
    expect(codesOf(warnings)).toEqual(['ERS_STORE']);
    expect(textOf(warnings)).toContain('option keySnapshot');
    state.isDown = false;
    await advance({ seconds: 60 });
    await setImmediate();
    expect(codesOf(warnings)).toEqual(['ERS_STORE', 'ERS_STORE_RESOLVED']);
    await verifier.close();
  });

  it('causes one warning, and one when it works again: dpop.store', async () => {
    const { store, state } = switchable();
    const warnings = recordWarnings();
    const app = serveDpop(scene.issuer, { store });
    state.isDown = true;
    for (let i = 0; i < 3; i++) await present(app, scene.token, await scene.prove());
    expect(codesOf(warnings)).toEqual(['ERS_STORE']);
    expect(textOf(warnings)).toContain('option dpop.store');
    state.isDown = false;
    for (let i = 0; i < 3; i++) await present(app, scene.token, await scene.prove());
    expect(codesOf(warnings)).toEqual(['ERS_STORE', 'ERS_STORE_RESOLVED']);
  });
});

describe('a rejected token', () => {
  it('causes no warning', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    const verifier = jwtVerifierOf(issuer);
    const tokens = [
      'opaque',
      await issuer.issue({ iss: 'https://other.example.com' }),
      await issuer.issue({ aud: 'other' }),
      await issuer.issue({ exp: 1 }),
      await issuer.issue({}, { key: await makeSigningKey() }),
    ];
    for (const token of tokens) await attempt(verifier, token);
    const introspection = verifierFor(issuer);
    for (const token of ['unknown', issuer.issueOpaque({ aud: 'other' })]) await attempt(introspection, token);
    expect(warnings).toEqual([]);
    await verifier.close();
  });
});

describe('a dependency that changes its state all the time', () => {
  it('does not fill the log', async () => {
    const issuer = await startIssuer();
    const warnings = recordWarnings();
    const verifier = verifierFor(issuer);
    const bad = issuer.issueOpaque();
    issuer.introspection.failFor(bad, 'error');
    for (let i = 0; i < 60; i++) {
      await attempt(verifier, bad);
      await attempt(verifier, issuer.issueOpaque());
    }
    expect(warnings.length).toBeLessThanOrEqual(60);
  });
});

describe('the warning says what to do', () => {
  const failing = (code: string) => (): Promise<never> =>
    Promise.reject(new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) }));

  async function warningFor(fetch: () => Promise<never>): Promise<string> {
    const warnings = recordWarnings();
    const verifier = jwtVerifier({ issuer: 'https://auth.example.com', audience: 'api', fetch });
    await verifier.ready().catch(() => undefined);
    await setImmediate();
    await verifier.close();
    return textOf(warnings);
  }

  it.each([
    ['ERR_SSL_WRONG_VERSION_NUMBER', /not respond with TLS\. Check the port/],
    ['CERT_HAS_EXPIRED', /has expired\. Renew it/],
    ['CERT_NOT_YET_VALID', /clock of this machine/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /another host name/],
    ['ENOTFOUND', /Check the address .* the name has no address/],
    ['EAI_AGAIN', /DNS server did not respond/],
    ['ECONNREFUSED', /whether the server runs/],
    ['ECONNRESET', /connection was closed\. Check the port/],
  ])('about %s', async (code, fix) => {
    expect(await warningFor(failing(code))).toMatch(fix);
  });

  it.each([
    ['proxy authentication required', 'the proxy requires a password'],
    ['other side closed', 'the server closed the connection'],
  ])('and has the meaning of a message without a code: %s', async (message, meaning) => {
    const fetch = (): Promise<never> => Promise.reject(new TypeError('fetch failed', { cause: new Error(message) }));
    expect(await warningFor(fetch)).toContain(`is not reachable: ${meaning}`);
  });

  it('if fetch names no cause', async () => {
    const fetch = (): Promise<never> => Promise.reject(new TypeError('fetch failed', { cause: new Error() }));
    expect(await warningFor(fetch)).toContain('the status 407 of a proxy');
  });

  it.each([
    ['metadata', 404, /no metadata of this issuer\. Check the option issuer/],
    ['metadata', 401, /readable without credentials/],
    ['metadata', 403, /readable without credentials/],
    ['metadata', 429, /limits the number of requests/],
    ['jwks', 500, /tries again/],
  ] as const)('about the %s with status %i', async (document, status, fix) => {
    const issuer = await startIssuer();
    issuer.fail(document, (res) => res.writeHead(status).end());
    const warnings = recordWarnings();
    const verifier = jwtVerifierOf(issuer);
    await verifier.ready().catch(() => undefined);
    expect(textOf(warnings)).toMatch(fix);
    await verifier.close();
  });
});

it('different timeouts of one server are one cause', async () => {
  const warnings = recordWarnings();
  const issuer = await startIssuer();
  const codes = ['UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT', 'UND_ERR_HEADERS_TIMEOUT'];
  const verifier = jwtVerifierOf(issuer, {
    keys: { prefetch: false },
    fetch: () => Promise.reject(Object.assign(new Error(), { code: codes.pop() ?? 'ECONNREFUSED' })),
  });
  for (let i = 0; i < 3; i++) {
    await verifier.ready().catch(() => undefined);
    await advance({ seconds: 40 });
  }
  expect(codes).toEqual([]);
  // The last one is another cause.
  expect(codesOf(warnings)).toEqual(['ERS_UNREACHABLE', 'ERS_UNREACHABLE']);
  expect(warnings.map(({ message }) => /[A-Z_]+TIMEOUT|ECONNREFUSED/.exec(message)?.[0])).toEqual([
    'UND_ERR_HEADERS_TIMEOUT',
    'ECONNREFUSED',
  ]);
  await verifier.close();
});
