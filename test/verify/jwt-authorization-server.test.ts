import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import { introspectionBearer } from 'express-resource-server';
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { callApi } from '../../example-app/client.js';
import { AUDIENCE, type Example, PARTNER_AUDIENCE, startExample } from '../../example-app/example.js';
import { listen } from '../../example-app/listen.js';
import { tamper } from '../../example-app/walkthrough.js';
import { cloneInThisRealm } from '../support/one-realm.js';

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

async function expectRejected(
  pending: Promise<Response>,
  status: number,
  challenge: string,
  realm = 'orders',
): Promise<void> {
  const response = await pending;
  expect({ status: response.status, challenge: response.headers.get('WWW-Authenticate') }).toEqual({
    status,
    challenge: `Bearer realm="${realm}"${challenge}`,
  });
  expect(response.headers.get('Cache-Control')).toBe('no-store');
}

const order = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"item":"coffee"}' };

describe('an API for the tokens of a real authorization server', () => {
  it('accepts a token that was requested with client_secret_basic', async () => {
    const response = await callApi(example.reader, `${example.api}/orders`);
    expect(response.status).toBe(200);
    expect(await response.json()).toHaveProperty('orders');
  });

  it('accepts a token that was requested with private_key_jwt, and returns its client', async () => {
    const response = await callApi(example.worker, `${example.api}/orders`, order);
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({ item: 'coffee', orderedBy: 'worker' });
  });

  it('receives tokens in the format of RFC 9068', async () => {
    const token = await example.reader.token();
    expect(decodeProtectedHeader(token)).toMatchObject({ typ: 'at+jwt', alg: 'ES256' });
    expect(decodeJwt(token)).toMatchObject({ iss: example.issuer.url, aud: AUDIENCE, client_id: 'reader' });
  });

  it('sends a challenge without an error to a request without a token', async () => {
    await expectRejected(fetch(`${example.api}/orders`), 401, '');
  });

  it('names the missing scope', async () => {
    await expectRejected(
      callApi(example.reader, `${example.api}/orders`, order),
      403,
      ', error="insufficient_scope", error_description="The access token does not have the required scope."' +
        ', scope="orders:write"',
    );
  });

  it('checks the granted scopes, not the scopes that the client may request', async () => {
    const limited = await example.connect({ ...example.clients.worker, scope: 'orders:read' });
    expect((await callApi(limited, `${example.api}/orders`)).status).toBe(200);
    expect((await callApi(limited, `${example.api}/orders`, order)).status).toBe(403);
  });

  it('allows the client on the allow-list on the internal route', async () => {
    const response = await callApi(example.worker, `${example.api}/internal/jobs`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ jobs: [], client: 'worker' });
  });

  it('rejects other clients on the internal route', async () => {
    await expectRejected(
      callApi(example.reader, `${example.api}/internal/jobs`),
      403,
      ', error="insufficient_scope", error_description="The client is not allowed to use this resource."',
    );
  });

  it('rejects a token with changed claims', async () => {
    const tampered = tamper(await example.reader.token());
    expect(decodeJwt(tampered)).toMatchObject({ client_id: 'worker', scope: 'orders:read orders:write' });
    await expectRejected(
      get('/orders', tampered),
      401,
      ', error="invalid_token", error_description="The signature of the access token is invalid."',
    );
  });

  it('rejects a token that the same issuer issued for another API', async () => {
    await expectRejected(
      callApi(example.otherApiWorker, `${example.api}/orders`),
      401,
      ', error="invalid_token", error_description="The access token was issued for another audience."',
    );
  });

  it('rejects a token of another issuer with the right client, scope and audience', async () => {
    const foreign = await startExample({ machineClients: ['worker'] });
    try {
      await expectRejected(
        callApi(foreign.worker, `${example.api}/orders`),
        401,
        ', error="invalid_token", error_description="The issuer of the access token is not trusted."',
      );
    } finally {
      await foreign.close();
    }
  });

  it("rejects a token with the issuer's kid that is signed with a key embedded in it", async () => {
    const token = await example.worker.token();
    const { kid } = decodeProtectedHeader(token);
    const pair = await generateKeyPair('ES256');
    const forged = await new SignJWT(decodeJwt(token))
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: String(kid), jwk: await exportJWK(pair.publicKey) })
      .sign(pair.privateKey);
    await expectRejected(
      get('/orders', forged),
      401,
      ', error="invalid_token", error_description="The signature of the access token is invalid."',
    );
  });

  it('rejects an assertion for client authentication', async () => {
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

  it('accepts tokens of the new and the old key after a rotation', async () => {
    const before = await example.worker.token();
    await example.issuer.rotateKey();
    example.worker.invalidate();
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
  it('accepts an opaque token and knows its client', async () => {
    const token = await freshPartnerToken();
    expect(token).not.toContain('.');

    const response = await get(SHIPMENTS, token);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ client: 'partner' });
  });

  it('sends a challenge without an error to a request without a token', async () => {
    await expectRejected(fetch(example.api + SHIPMENTS), 401, '', 'partner');
  });

  it('names the missing scope', async () => {
    await expectRejected(
      get(SHIPMENTS, await freshPartnerToken(example, 'shipments:write')),
      403,
      ', error="insufficient_scope", error_description="The access token does not have the required scope."' +
        ', scope="shipments:read"',
      'partner',
    );
  });

  it('rejects a revoked token after invalidate()', async () => {
    const token = await freshPartnerToken();
    expect((await get(SHIPMENTS, token)).status).toBe(200);

    await example.revoke(token);
    await example.invalidate(token);

    await expectRejected(get(SHIPMENTS, token), 401, INACTIVE, 'partner');
  });

  it('rejects a revoked token after cache.maxAge without invalidate()', async () => {
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
      await expectRejected(fetch(api.url, { headers }), 401, INACTIVE, 'partner');
    } finally {
      await api.close();
    }
  });

  it('rejects a token that was never issued', async () => {
    await expectRejected(get(SHIPMENTS, 'neverIssued'), 401, INACTIVE, 'partner');
  });

  it('rejects an opaque token of another issuer', async () => {
    const other = await startExample({ machineClients: ['worker'] });
    try {
      await expectRejected(get(SHIPMENTS, await freshPartnerToken(other)), 401, INACTIVE, 'partner');
    } finally {
      await other.close();
    }
  });

  it('is rejected by the API for JWTs', async () => {
    await expectRejected(
      get('/orders', await freshPartnerToken()),
      401,
      ', error="invalid_token", error_description="The access token is not a JWT."',
    );
  });

  it('accepts cached tokens while the issuer is down and responds 503 to others', async () => {
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
