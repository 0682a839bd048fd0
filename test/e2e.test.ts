import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import { introspectionBearer } from 'express-resource-server';
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { callApi } from '../example-app/client.js';
import { AUDIENCE, type Example, PARTNER_AUDIENCE, startExample } from '../example-app/example.js';
import { listen } from '../example-app/listen.js';
import { tamper } from '../example-app/walkthrough.js';
import { cloneInThisRealm } from './one-realm.js';

cloneInThisRealm();

let example: Example;

beforeAll(async () => {
  example = await startExample({ machineClients: ['worker'] });
});

afterAll(async () => {
  await example.close();
});

function get(path: string, token: string): Promise<Response> {
  return fetch(example.api + path, { headers: { Authorization: `Bearer ${token}` } });
}

async function expectRefused(
  answer: Promise<Response>,
  status: number,
  challenge: string,
  realm = 'orders',
): Promise<void> {
  const response = await answer;
  expect({ status: response.status, challenge: response.headers.get('WWW-Authenticate') }).toEqual({
    status,
    challenge: `Bearer realm="${realm}"${challenge}`,
  });
  expect(response.headers.get('Cache-Control')).toBe('no-store');
}

const order = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"item":"coffee"}' };

describe('an API for the tokens of a real authorization server', () => {
  it('accepts a token that was obtained by client_secret_basic', async () => {
    const response = await callApi(example.reader, `${example.api}/orders`);
    expect(response.status).toBe(200);
    expect(await response.json()).toHaveProperty('orders');
  });

  it('accepts a token that was obtained by private_key_jwt, and knows whose it is', async () => {
    const response = await callApi(example.worker, `${example.api}/orders`, order);
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({ item: 'coffee', orderedBy: 'worker' });
  });

  it('gets tokens of the form of RFC 9068', async () => {
    const token = await example.reader.token();
    expect(decodeProtectedHeader(token)).toMatchObject({ typ: 'at+jwt', alg: 'ES256' });
    expect(decodeJwt(token)).toMatchObject({ iss: example.issuer.url, aud: AUDIENCE, client_id: 'reader' });
  });

  it('challenges a request without a token, naming no error', async () => {
    await expectRefused(fetch(`${example.api}/orders`), 401, '');
  });

  it('names the scope that a token lacks', async () => {
    await expectRefused(
      callApi(example.reader, `${example.api}/orders`, order),
      403,
      ', error="insufficient_scope", error_description="The access token does not have the required scope."' +
        ', scope="orders:write"',
    );
  });

  it('goes by the scopes that were granted, not by what the client could get', async () => {
    const modest = await example.connect({ ...example.clients.worker, scope: 'orders:read' });
    expect((await callApi(modest, `${example.api}/orders`)).status).toBe(200);
    expect((await callApi(modest, `${example.api}/orders`, order)).status).toBe(403);
  });

  it('opens the internal route to the client on the allow-list', async () => {
    const response = await callApi(example.worker, `${example.api}/internal/jobs`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ jobs: [], askedBy: 'worker' });
  });

  it('closes the internal route to a client that is not on it', async () => {
    await expectRefused(
      callApi(example.reader, `${example.api}/internal/jobs`),
      403,
      ', error="insufficient_scope", error_description="The client is not allowed to use this resource."',
    );
  });

  it('refuses a token with other claims than were signed', async () => {
    const tampered = tamper(await example.reader.token());
    expect(decodeJwt(tampered)).toMatchObject({ client_id: 'worker', scope: 'orders:read orders:write' });
    await expectRefused(
      get('/orders', tampered),
      401,
      ', error="invalid_token", error_description="The signature of the access token is invalid."',
    );
  });

  it('refuses a token that the same issuer issued for another API', async () => {
    await expectRefused(
      callApi(example.elsewhere, `${example.api}/orders`),
      401,
      ', error="invalid_token", error_description="The access token was issued for another audience."',
    );
  });

  it('refuses a token of another issuer, though client, scope and audience are right', async () => {
    const foreign = await startExample({ machineClients: ['worker'] });
    try {
      await expectRefused(
        callApi(foreign.worker, `${example.api}/orders`),
        401,
        ', error="invalid_token", error_description="The issuer of the access token is not trusted."',
      );
    } finally {
      await foreign.close();
    }
  });

  it("refuses a token that names the issuer's key and is signed with another, embedded in it", async () => {
    const token = await example.worker.token();
    const { kid } = decodeProtectedHeader(token);
    const pair = await generateKeyPair('ES256');
    const forged = await new SignJWT(decodeJwt(token))
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: String(kid), jwk: await exportJWK(pair.publicKey) })
      .sign(pair.privateKey);
    await expectRefused(
      get('/orders', forged),
      401,
      ', error="invalid_token", error_description="The signature of the access token is invalid."',
    );
  });

  it('refuses the assertion that a client authenticates with at the issuer', async () => {
    const { clientId, credential } = example.clients.worker;
    const assertion = await new SignJWT({ client_id: clientId, scope: 'orders:read' })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(AUDIENCE)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(credential);
    const response = await get('/orders', assertion);
    expect(response.status).toBe(401);
  });

  it('goes on when the issuer rotates its key, with tokens by the new key and by the old', async () => {
    const before = await example.worker.token();
    await example.issuer.rotateKey();
    example.worker.forget();
    const after = await example.worker.token();

    expect(decodeProtectedHeader(after).kid).not.toBe(decodeProtectedHeader(before).kid);
    expect((await get('/orders', after)).status).toBe(200);
    expect((await get('/orders', before)).status).toBe(200);
  });
});

const SHIPMENTS = '/partner/shipments';
const INACTIVE =
  ', error="invalid_token", error_description="The access token is not active. It is unknown, expired or revoked."';

async function freshPartnerToken(from: Example = example, scope = 'shipments:read'): Promise<string> {
  const partner = await from.connect({ ...from.clients.partner, resource: PARTNER_AUDIENCE, scope });
  return partner.token();
}

describe('an API for the opaque tokens of a real authorization server', () => {
  it('accepts a token that only the issuer can read, and knows whose it is', async () => {
    const token = await freshPartnerToken();
    expect(token).not.toContain('.');

    const response = await get(SHIPMENTS, token);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ askedBy: 'partner' });
  });

  it('challenges a request without a token, naming no error', async () => {
    await expectRefused(fetch(example.api + SHIPMENTS), 401, '', 'partner');
  });

  it('names the scope that a token lacks', async () => {
    await expectRefused(
      get(SHIPMENTS, await freshPartnerToken(example, 'shipments:write')),
      403,
      ', error="insufficient_scope", error_description="The access token does not have the required scope."' +
        ', scope="shipments:read"',
      'partner',
    );
  });

  it('refuses a token that the issuer has revoked, as soon as it is told of it', async () => {
    const token = await freshPartnerToken();
    expect((await get(SHIPMENTS, token)).status).toBe(200);

    await example.revoke(token);
    await example.forget(token);

    await expectRefused(get(SHIPMENTS, token), 401, INACTIVE, 'partner');
  });

  it('refuses a revoked token within cache.maxAge where nobody tells it', async () => {
    let now = Date.now() / 1000;
    const options = { issuer: example.issuer.url, audience: PARTNER_AUDIENCE, ...example.clients.partnerApi };
    const guard = introspectionBearer({ ...options, realm: 'partner', cache: { maxAge: 5 }, clock: () => now });
    const app = express().get('/', guard, (_req, res) => {
      res.json({});
    });
    const api = await listen(app);
    try {
      const headers = { Authorization: `Bearer ${await freshPartnerToken()}` };
      expect((await fetch(api.url, { headers })).status).toBe(200);

      await example.revoke(headers.Authorization.slice('Bearer '.length));
      now += 4;
      expect((await fetch(api.url, { headers })).status).toBe(200);
      now += 1;
      await expectRefused(fetch(api.url, { headers }), 401, INACTIVE, 'partner');
    } finally {
      await api.close();
    }
  });

  it('refuses a token that the issuer never issued', async () => {
    await expectRefused(get(SHIPMENTS, 'neverIssued'), 401, INACTIVE, 'partner');
  });

  it('refuses an opaque token of another issuer', async () => {
    const other = await startExample({ machineClients: ['worker'] });
    try {
      await expectRefused(get(SHIPMENTS, await freshPartnerToken(other)), 401, INACTIVE, 'partner');
    } finally {
      await other.close();
    }
  });

  it('is no way into the API for JWTs', async () => {
    await expectRefused(
      get('/orders', await freshPartnerToken()),
      401,
      ', error="invalid_token", error_description="The access token is not a JWT."',
    );
  });

  it('goes on with tokens that it knows while the issuer is down, and answers 503 to the others', async () => {
    const outage = await startExample({ machineClients: ['worker'] });
    try {
      const call = (token: string) => fetch(outage.api + SHIPMENTS, { headers: { Authorization: `Bearer ${token}` } });
      const known = await freshPartnerToken(outage);
      const unknown = await freshPartnerToken(outage);
      expect((await call(known)).status).toBe(200);

      await outage.issuer.close();

      expect((await call(known)).status).toBe(200);
      const response = await call(unknown);
      expect(response.status).toBe(503);
      expect(response.headers.get('WWW-Authenticate')).toBeNull();
      expect(Number(response.headers.get('Retry-After'))).toBeGreaterThan(0);
    } finally {
      await outage.close();
    }
  });
});
