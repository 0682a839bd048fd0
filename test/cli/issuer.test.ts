import { afterEach, describe, expect, it } from '@jest/globals';
import express from 'express';
import request from 'supertest';
import { introspectionBearer, jwtBearer, requireScopes } from 'express-resource-server';
import { type DevelopmentIssuer, startIssuer } from '../../lib/cli/issuer.js';

let issuer: DevelopmentIssuer | undefined;

afterEach(async () => {
  await issuer?.close();
  issuer = undefined;
});

async function start(...args: string[]): Promise<DevelopmentIssuer> {
  issuer = await startIssuer(['--port', '0', ...args]);
  return issuer;
}

async function requestToken(
  { url, clientId, clientSecret }: DevelopmentIssuer,
  form: Record<string, string> = {},
  secret = clientSecret,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const authorization = `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`;
  const body = new URLSearchParams({ grant_type: 'client_credentials', ...form });
  const response = await fetch(`${url}/token`, { method: 'POST', headers: { authorization }, body });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe('the command issuer', () => {
  it('issues JWTs that an API accepts', async () => {
    const started = await start();
    const app = express();
    app.use(jwtBearer({ issuer: started.url, audience: started.audience }));
    app.get('/', requireScopes('orders:read'), (_req, res) => void res.json({}));
    const { body } = await requestToken(started);
    expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 3600, scope: 'orders:read orders:write' });
    await request(app).get('/').auth(String(body.access_token), { type: 'bearer' }).expect(200);
  });

  it.each([['--opaque'], []])('responds to introspection requests (%s)', async (...args) => {
    const started = await start(...args);
    const { url, audience, clientId, clientSecret } = started;
    const app = express();
    app.use(introspectionBearer({ issuer: url, audience, clientId, clientSecret }));
    app.get('/', (_req, res) => void res.json({}));
    const { body } = await requestToken(started, { scope: 'orders:read' });
    expect(String(body.access_token).split('.')).toHaveLength(args.length > 0 ? 1 : 3);
    await request(app).get('/').auth(String(body.access_token), { type: 'bearer' }).expect(200);
    await request(app).get('/').auth('another', { type: 'bearer' }).expect(401);
  });

  it('prints the command that requests a token', async () => {
    const { text, clientId, clientSecret, url, audience } = await start();
    expect(text).toContain(`curl -s -u ${clientId}:${clientSecret} -d grant_type=client_credentials ${url}/token`);
    expect(text).toContain(audience);
    expect(text).toContain(`Bearer $(curl -s -u ${clientId}:${clientSecret} -H Accept:text/plain -d grant_type=`);
  });

  it('returns only the token with Accept: text/plain', async () => {
    const { url, clientId, clientSecret } = await start();
    const authorization = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;
    const body = new URLSearchParams({ grant_type: 'client_credentials' });
    const response = await fetch(`${url}/token`, {
      method: 'POST',
      headers: { authorization, accept: 'text/plain' },
      body,
    });
    expect(response.headers.get('content-type')).toBe('text/plain');
    expect(await response.text()).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  });

  it('rejects a wrong secret, another grant and an unknown scope', async () => {
    const started = await start('--scopes', 'a,b c');
    expect(await requestToken(started, {}, 'wrong')).toEqual({ status: 401, body: { error: 'invalid_client' } });
    const grant = { grant_type: 'password' };
    expect(await requestToken(started, grant)).toEqual({ status: 400, body: { error: 'unsupported_grant_type' } });
    const scope = { scope: 'orders:read' };
    expect(await requestToken(started, scope)).toEqual({ status: 400, body: { error: 'invalid_scope' } });
    expect((await requestToken(started)).body).toMatchObject({ scope: 'a b c' });
  });

  it.each([
    ['--host', '0.0.0.0', /loopback only/],
    ['--port', 'many', /number from 0 to 65535/],
    ['--scopes', 'a"b', /must not contain/],
    ['--unknown', 'x', /--unknown/],
  ])('rejects %s %s', async (name, value, message) => {
    await expect(startIssuer([name, value])).rejects.toThrow(message);
  });

  it('names the option if the port is in use', async () => {
    const { url } = await start();
    await expect(startIssuer(['--port', new URL(url).port])).rejects.toThrow(/--port/);
  });
});
