export const HELP = `Checks OAuth 2.0 authorization servers and access tokens as express-resource-server does.

Usage: npx express-resource-server <command> [options]

Commands:
  doctor    checks an authorization server: DNS, TLS, metadata, keys, clock, credentials
  explain   explains why a token is accepted or rejected
  issuer    starts an authorization server for development

Options:
  --help      shows this text; after a command, the text of the command
  --version   shows the version

Examples:
  npx express-resource-server doctor --issuer https://auth.example.com
  npx express-resource-server explain --issuer https://auth.example.com --audience https://api.example.com < token.txt
  npx express-resource-server issuer

Exit status: 0 everything is right, 1 something is wrong, 2 cannot be determined or wrong usage.
`;

export const EXPLAIN_HELP = `Explains why a token is accepted or rejected: every check, what was expected and what the token has.

Usage: npx express-resource-server explain --issuer <issuer> --audience <audience> [options] < token

The token is read from standard input, because process lists show arguments. The output contains its header and claims,
but not its signature.

Options:
  --issuer <issuer>       the issuer exactly as in the claim "iss" of its tokens
  --audience <audience>   the identifier of your API in the claim "aud"; may be repeated
  --scope <scope>         also checks a scope, like requireScopes; may be repeated
  --dpop <proof>          also checks a DPoP proof; needs --method and --url
  --method <method>       the method of the request, such as GET
  --url <url>             the URL of the request
  --jwks-uri <url>        the address of the keys, instead of discovery
  --allow-insecure-http   allows http: addresses outside of this machine
  --json                  writes JSON
  --help                  shows this text

Examples:
  npx express-resource-server explain --issuer https://auth.example.com --audience https://api.example.com < token.txt
  pbpaste | npx express-resource-server explain --issuer https://auth.example.com --audience orders --scope orders:read
  npx express-resource-server explain --issuer https://auth.example.com --audience orders \\
    --dpop "$PROOF" --method GET --url https://api.example.com/orders < token.txt

Exit status: 0 accepted, 1 rejected, 2 cannot be determined or wrong usage.
`;

export const DOCTOR_HELP = `Checks an authorization server as express-resource-server sees it, and prints the configuration for it.

Usage: npx express-resource-server doctor --issuer <issuer> [options]

Checks DNS, TLS, both well-known addresses, the issuer in the metadata, every key, cache headers, the difference of the
clocks, the introspection endpoint, and the support for DPoP and mutual TLS.

Options:
  --issuer <issuer>         the issuer exactly as in the claim "iss" of its tokens
  --client-id <id>          also checks the credentials of this API at the introspection endpoint
  --client-secret-stdin     reads the client secret from standard input
  --timeout <seconds>       deadline of one request, 1 to 60; default 5
  --allow-insecure-http     allows http: addresses outside of this machine
  --json                    writes JSON
  --help                    shows this text

Examples:
  npx express-resource-server doctor --issuer https://auth.example.com
  npx express-resource-server doctor --issuer https://auth.example.com --client-id orders-api --client-secret-stdin < secret.txt

Exit status: 0 no check failed, 1 a check failed, 2 wrong usage.
`;

export const ISSUER_HELP = `Starts an authorization server for development on 127.0.0.1, and prints how to get a token.

Usage: npx express-resource-server issuer [options]

It has the client-credentials grant, introspection, metadata and JWKS. Its keys, its tokens and the client secret exist
only until it stops.

Options:
  --port <number>     the port; 0 chooses a free one; default 4444
  --scopes <scopes>   the scopes that the client may request, separated by spaces or commas; default
                      "orders:read orders:write"
  --audience <name>   the audience of the tokens; default https://api.example.com
  --opaque            issues opaque tokens instead of JWTs
  --host <address>    127.0.0.1 or localhost; every other address is rejected
  --help              shows this text

Examples:
  npx express-resource-server issuer
  npx express-resource-server issuer --port 5000 --scopes "invoices:read invoices:write" --opaque

Exit status: 2 wrong usage.
`;
