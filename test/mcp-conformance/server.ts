/* eslint-disable @typescript-eslint/no-deprecated -- the suite also tests the protocol of older clients */
import {
  acceptedContent,
  createMcpHandler,
  fromJsonSchema,
  inputRequired,
  McpServer,
  ResourceTemplate,
} from '@modelcontextprotocol/server';
import { z } from 'zod';

const IMAGE = {
  type: 'image',
  data: 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==',
  mimeType: 'image/png',
} as const;
const AUDIO = {
  type: 'audio',
  data: 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=',
  mimeType: 'audio/wav',
} as const;

const description = 'for the suite';

const text = (value: string) => ({ type: 'text', text: value }) as const;
const embedded = (uri: string) =>
  ({ type: 'resource', resource: { uri, mimeType: 'text/plain', text: 'text' } }) as const;

/** The tools, resources and prompts that the conformance suite calls, with version 2 of the SDK. */
export function createConformanceServer(): McpServer {
  const server = new McpServer(
    { name: 'conformance', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        logging: {},
        completions: {},
      },
    },
  );
  addTools(server);
  addTalkingTools(server);
  addResources(server);
  addPrompts(server);
  server.server.setRequestHandler('logging/setLevel', () => ({}));
  server.server.setRequestHandler('completion/complete', () => ({
    completion: { values: [], total: 0, hasMore: false },
  }));
  return server;
}

export const conformanceHandler = (): ReturnType<typeof createMcpHandler> => createMcpHandler(createConformanceServer);

function addTools(server: McpServer): void {
  const results = {
    test_simple_text: [text('This is a simple text response for testing.')],
    test_streaming_elicitation: [text('one result')],
    test_image_content: [IMAGE],
    test_audio_content: [AUDIO],
    test_embedded_resource: [embedded('test://embedded-resource')],
    test_multiple_content_types: [text('several'), IMAGE, embedded('test://mixed-content-resource')],
  };
  for (const [name, content] of Object.entries(results)) {
    server.registerTool(name, { description }, () => ({ content }));
  }
  server.registerTool('test_error_handling', { description }, () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
  const header = { type: 'string', description: 'mirrored', 'x-mcp-header': 'Region' };
  const withHeader = fromJsonSchema<{ region?: string }>({ type: 'object', properties: { region: header } });
  server.registerTool('test_x_mcp_header', { description, inputSchema: withHeader }, ({ region }) => ({
    content: [text(region ?? 'none')],
  }));
}

/** Tools that send messages before their result. */
function addTalkingTools(server: McpServer): void {
  const inputSchema = z.object({});
  server.registerTool('test_logging_tool', { description, inputSchema }, async (_args, ctx) => {
    await ctx.mcpReq.log('info', 'a message');
    return { content: [text('logged')] };
  });
  server.registerTool('test_tool_with_logging', { description, inputSchema }, async (_args, ctx) => {
    for (const message of ['started', 'running', 'completed']) await ctx.mcpReq.log('info', message);
    return { content: [text('logged')] };
  });
  server.registerTool('test_tool_with_progress', { description, inputSchema }, async (_args, ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken;
    for (const progress of progressToken === undefined ? [] : [0, 50, 100]) {
      const params = { progressToken: progressToken ?? '', progress, total: 100 };
      await ctx.mcpReq.notify({ method: 'notifications/progress', params });
    }
    return { content: [text(String(progressToken))] };
  });
  const prompt = z.object({ prompt: z.string() });
  server.registerTool('test_sampling', { description, inputSchema: prompt }, async (args, ctx) => {
    const message = { role: 'user', content: text(args.prompt) } as const;
    const { content } = await ctx.mcpReq.requestSampling({ messages: [message], maxTokens: 100 });
    return { content: [text(`LLM response: ${JSON.stringify(content)}`)] };
  });
  server.registerTool(
    'test_elicitation',
    { description, inputSchema: z.object({ message: z.string() }) },
    async (args, ctx) => {
      const properties = { username: { type: 'string' }, email: { type: 'string' } } as const;
      const requestedSchema = { type: 'object', properties, required: ['username', 'email'] } as const;
      const { action, content } = await ctx.mcpReq.elicitInput({
        message: args.message,
        requestedSchema: { ...requestedSchema, required: [...requestedSchema.required] },
      });
      return { content: [text(`User response: ${action} ${JSON.stringify(content)}`)] };
    },
  );
  server.registerTool('test_input_required_result_elicitation', { description, inputSchema }, (_args, ctx) => {
    const answer = acceptedContent<{ name?: unknown }>(ctx.mcpReq.inputResponses, 'user_name');
    if (typeof answer?.name === 'string') return { content: [text(`Hello, ${answer.name}!`)] };
    const requestedSchema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] } as const;
    const request = { message: 'What is your name?', requestedSchema: { ...requestedSchema, required: ['name'] } };
    return inputRequired({ inputRequests: { user_name: inputRequired.elicit(request) } });
  });
}

function addResources(server: McpServer): void {
  const contents: Readonly<Record<string, { text: string } | { blob: string }>> = {
    'test://static-text': { text: 'This is the content of the static text resource.' },
    'test://static-binary': { blob: IMAGE.data },
    'test://watched-resource': { text: 'watched' },
  };
  for (const [uri, content] of Object.entries(contents)) {
    const mimeType = 'blob' in content ? IMAGE.mimeType : 'text/plain';
    server.registerResource(uri.slice('test://'.length), uri, { mimeType }, () => ({
      contents: [{ uri, mimeType, ...content }],
    }));
  }
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined });
  const mimeType = 'application/json';
  server.registerResource('template', template, { mimeType }, ({ href }, { id }) => ({
    contents: [{ uri: href, mimeType, text: JSON.stringify({ id, templateTest: true }) }],
  }));
  server.server.setRequestHandler('resources/subscribe', () => ({}));
  server.server.setRequestHandler('resources/unsubscribe', () => ({}));
}

function addPrompts(server: McpServer): void {
  const user = <Content>(content: Content) => ({ role: 'user', content }) as const;
  server.registerPrompt('test_simple_prompt', { description }, () => ({
    messages: [user(text('This is a simple prompt for testing.'))],
  }));
  const argsSchema = z.object({ arg1: z.string(), arg2: z.string() });
  server.registerPrompt('test_prompt_with_arguments', { description, argsSchema }, ({ arg1, arg2 }) => ({
    messages: [user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))],
  }));
  const uriSchema = z.object({ resourceUri: z.string() });
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description, argsSchema: uriSchema },
    ({ resourceUri }) => ({
      messages: [user(embedded(resourceUri)), user(text('Please process the embedded resource above.'))],
    }),
  );
  server.registerPrompt('test_prompt_with_image', { description }, () => ({
    messages: [user(IMAGE), user(text('Please analyze the image above.'))],
  }));
}
