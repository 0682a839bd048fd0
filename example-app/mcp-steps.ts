import { Client, ClientCredentialsProvider, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { request, type Step } from './steps.js';

export interface McpWalkthrough {
  readonly api: string;
  readonly issuer: { readonly url: string };
  readonly clients: { readonly assistant: { readonly clientId: string; readonly credential: string } };
}

/** A client that knows only the URL of the MCP server and its own credentials. */
export function mcpSteps({ api, issuer, clients }: McpWalkthrough): Step[] {
  const url = `${api}/mcp`;
  const { clientId, credential } = clients.assistant;
  const authProvider = new ClientCredentialsProvider({
    clientId,
    clientSecret: credential,
    expectedIssuer: issuer.url,
  });
  const call = async (tool: string, args: Record<string, unknown>): Promise<string> => {
    const client = new Client({ name: 'assistant', version: '1.0.0' });
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { authProvider }));
    try {
      const { content } = await client.callTool({ name: tool, arguments: args });
      return `${JSON.stringify(content)}, with a token for ${authProvider.tokens()?.scope ?? 'nothing'}`;
    } finally {
      await client.close();
    }
  };
  return [
    request('POST /mcp without a token', () => fetch(url, { method: 'POST' }), {
      status: 401,
      challenge: /^Bearer realm="notes", scope="notes:read", resource_metadata="[^"]*oauth-protected-resource\/mcp"$/,
    }),
    request('GET the metadata of /mcp', () => fetch(`${api}/.well-known/oauth-protected-resource/mcp`), {
      status: 200,
    }),
    {
      title: 'The assistant finds the issuer, fetches a token and calls the tool read_notes',
      run: async () => expectScope(await call('read_notes', {}), 'notes:read'),
    },
    {
      title: 'The assistant calls add_note, receives 403, and fetches a token with the additional scope',
      run: async () => expectScope(await call('add_note', { note: 'buy tea' }), 'notes:read notes:write'),
    },
  ];
}

function expectScope(result: string, scope: string): string {
  if (!result.endsWith(`a token for ${scope}`)) throw new Error(`expected a token for ${scope}, got ${result}`);
  return result;
}
