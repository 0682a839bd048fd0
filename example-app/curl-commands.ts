import { AUDIENCE, type Example, PARTNER_AUDIENCE } from './example.js';
import { REVOKED_WITHIN } from './partner-api.js';
import type { External } from './settings.js';

/** Commands to paste into a shell. */
export async function curlCommands({ api, issuer, payer, clients: { reader, partner } }: Example): Promise<string> {
  return [
    ...fetchToken('TOKEN', issuer.url, reader, AUDIENCE),
    ...calls(api),
    '',
    '# An opaque token, revoked:',
    ...fetchToken('PARTNER_TOKEN', issuer.url, partner, PARTNER_AUDIENCE),
    ...partnerCalls(api),
    `curl -i -u '${partner.clientId}:${partner.credential}' ${issuer.url}/token/revocation -d token=$PARTNER_TOKEN`,
    `sleep ${REVOKED_WITHIN} # until then, the API uses the cached response of the issuer`,
    ...partnerCalls(api),
    '',
    '# A token that is bound to a key of the payer:',
    `BOUND_TOKEN=${await payer.cache.token()}`,
    `curl -i -H "Authorization: Bearer $BOUND_TOKEN" ${api}/payments`,
    `curl -i -H "Authorization: DPoP $BOUND_TOKEN" ${api}/payments`,
  ].join('\n');
}

/** The same for an external issuer, whose clients are not known here. */
export function externalCurlCommands(api: string, { issuer, introspection }: External): string {
  const lines = [`TOKEN='an access token of ${issuer}'`, ...calls(api)];
  if (introspection !== undefined) lines.push(`PARTNER_TOKEN='an opaque access token'`, ...partnerCalls(api));
  return lines.join('\n');
}

type SecretClient = Example['clients']['reader'];

function fetchToken(name: string, issuer: string, client: SecretClient, resource: string): string[] {
  return [
    `${name}=$(curl -s -u '${client.clientId}:${client.credential}' ${issuer}/token \\`,
    `  -d grant_type=client_credentials -d scope=${client.scope} -d resource=${resource} \\`,
    `  | node -p 'JSON.parse(fs.readFileSync(0)).access_token')`,
  ];
}

function calls(api: string): string[] {
  return [
    `curl -i -H "Authorization: Bearer $TOKEN" ${api}/orders`,
    `curl -i -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{"item":"coffee"}' ${api}/orders`,
    `curl -i ${api}/orders`,
  ];
}

function partnerCalls(api: string): string[] {
  return [`curl -i -H "Authorization: Bearer $PARTNER_TOKEN" ${api}/partner/shipments`];
}
