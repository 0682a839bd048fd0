import { AUDIENCE, type Example } from './example.js';

/** Lines to paste into a shell. */
export function hints({ api, issuer, clients: { reader } }: Example): string {
  return [
    `TOKEN=$(curl -s -u '${reader.clientId}:${reader.credential}' ${issuer.url}/token \\`,
    `  -d grant_type=client_credentials -d scope=${reader.scope} -d resource=${AUDIENCE} \\`,
    `  | node -p 'JSON.parse(fs.readFileSync(0)).access_token')`,
    ...calls(api),
  ].join('\n');
}

/** The same where the issuer is somebody else's, and so are its clients. */
export function externalHints(api: string, issuer: string): string {
  return [`TOKEN='an access token of ${issuer}'`, ...calls(api)].join('\n');
}

function calls(api: string): string[] {
  return [
    `curl -i -H "Authorization: Bearer $TOKEN" ${api}/orders`,
    `curl -i -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{"item":"coffee"}' ${api}/orders`,
    `curl -i ${api}/orders`,
  ];
}
