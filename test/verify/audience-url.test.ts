import { describe, expect, it } from '@jest/globals';
import { type Audience, ConfigurationError, introspectionBearer, jwtBearer, jwtVerifier } from '../../lib/index.js';
import { expectInvalidToken, get, serve, serveFor, startIssuer } from '../support/helpers.js';

async function statusFor(audience: Audience | readonly Audience[], aud: unknown): Promise<number> {
  const issuer = await startIssuer();
  return (await get(serveFor(issuer, { audience }), await issuer.issue({ aud }))).status;
}

describe('an audience that is a URL', () => {
  it.each<[string, string[], string[]]>([
    [
      'https://api.example.com',
      [
        'https://api.example.com',
        'https://api.example.com/',
        'HTTPS://API.example.COM',
        'https://api.example.com:443/',
      ],
      [
        ...['http://api.example.com', 'https://api.example.com/mcp', 'https://api.example.com:8443', 'api.example.com'],
        ...[
          'https://api.example.com?',
          'https://api.example.com/#a',
          'https://user@api.example.com',
          'https:api.example.com',
        ],
        ...[
          'https:\\\\api.example.com',
          ' https://api.example.com',
          'https://api.exa\tmple.com',
          'https://api.example.com\n',
        ],
        ...['https://api.example.com.evil.example', ''],
      ],
    ],
    [
      'https://API.example.com:443/mcp',
      ['https://api.example.com/mcp', 'https://Api.Example.Com:443/mcp'],
      [
        'https://api.example.com/mcp/',
        'https://api.example.com/MCP',
        'https://api.example.com',
        'https://api.example.com/mcp/a',
      ],
    ],
    ['https://api.example.com/mcp/', ['https://api.example.com/mcp/'], ['https://api.example.com/mcp']],
    ['https://api.example.com/a?b=c', ['https://api.example.com/a?b=c'], ['https://api.example.com/a']],
  ])('%s is compared as a URI', async (url, same, others) => {
    for (const aud of [...same, ['x', ...same]]) expect([aud, await statusFor(new URL(url), aud)]).toEqual([aud, 200]);
    for (const aud of others) expect([aud, await statusFor(new URL(url), aud)]).toEqual([aud, 401]);
  });

  it('may be in an array with strings, which are compared exactly', async () => {
    const audience = ['https://a.example.com', new URL('https://b.example.com')];
    const values = [
      'https://a.example.com',
      'https://a.example.com/',
      'https://b.example.com',
      'https://b.example.com/',
    ];
    expect(await Promise.all(values.map((aud) => statusFor(audience, aud)))).toEqual([200, 401, 200, 200]);
  });

  it('does not change when the caller changes its URL object later', async () => {
    const issuer = await startIssuer();
    const audience = new URL('https://api.example.com');
    const app = serveFor(issuer, { audience });
    audience.hostname = 'evil.example';
    await expectInvalidToken(app, await issuer.issue({ aud: 'https://evil.example/' }), 'audience_mismatch');
    expect((await get(app, await issuer.issue({ aud: 'https://api.example.com' }))).status).toBe(200);
  });

  it('works with introspection', async () => {
    const issuer = await startIssuer();
    const token = issuer.issueOpaque({ aud: 'https://api.example.com/' });
    const credentials = { clientId: 'a', clientSecret: 'b' };
    const options = { issuer: issuer.url, audience: new URL('https://api.example.com'), ...credentials };
    expect((await get(serve(introspectionBearer(options)), token)).status).toBe(200);
  });

  it('is not compared with the claim "resource"', async () => {
    const issuer = await startIssuer();
    const app = serveFor(issuer, { audience: new URL('https://api.example.com') });
    const claims = { aud: 'other', resource: 'https://api.example.com' };
    await expectInvalidToken(app, await issuer.issue(claims), 'audience_mismatch');
  });

  it.each([
    new URL('https://api.example.com/#a'),
    new URL('https://user@api.example.com'),
    new URL('urn:example:api'),
    [new URL('https://api.example.com'), new URL('ftp://api.example.com')],
    ['', new URL('https://api.example.com')],
  ])('must not be %s', (audience) => {
    const make = (): unknown => jwtVerifier({ issuer: 'https://auth.example.com', audience });
    expect(make).toThrow(ConfigurationError);
    expect(() => jwtBearer({ issuer: 'https://auth.example.com', audience })).toThrow('jwtBearer: audience: expected');
  });
});
