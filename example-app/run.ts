import { createApi } from './api.js';
import { startExample } from './example.js';
import { createPartnerApi } from './partner-api.js';
import { openPartnerSteps, partnerSteps } from './partner-steps.js';
import { externalCurlCommands, curlCommands } from './curl-commands.js';
import { listen } from './listen.js';
import { mcpSteps } from './mcp-steps.js';
import type { External, Settings } from './settings.js';
import { runSteps, type Step } from './steps.js';
import { openPaymentsSteps, paymentsSteps } from './payments-steps.js';
import { openSteps, walkthrough } from './walkthrough.js';

interface Started {
  readonly addresses: string;
  readonly steps: readonly Step[];
  readonly curlCommands: string;
  close(): Promise<void>;
}

export interface Running {
  /** 0 if every step had the expected result, otherwise 1. */
  readonly exitStatus: 0 | 1;
  close(): Promise<void>;
}

/** Starts the servers and runs the steps. The servers keep running until `close`. */
export async function run(settings: Settings, log: (line: string) => void): Promise<Running> {
  const { external } = settings;
  const started = await (external === undefined ? startEmbedded(settings) : startExternal(settings, external));
  log(`${started.addresses}\n`);
  const isAsExpected = await runSteps(started.steps, log);
  if (!isAsExpected) log('\nThe last step did not have the expected result.');
  if (!settings.once) log(`\nStill running; press Ctrl-C to stop. Try:\n\n${started.curlCommands}\n`);
  return { exitStatus: isAsExpected ? 0 : 1, close: () => started.close() };
}

async function startEmbedded(settings: Settings): Promise<Started> {
  const example = await startExample(settings);
  return {
    addresses: `Issuer ${example.issuer.url}, API ${example.api}`,
    steps: [...walkthrough(example), ...partnerSteps(example), ...paymentsSteps(example), ...mcpSteps(example)],
    curlCommands: await curlCommands(example),
    close: () => example.close(),
  };
}

/** Starts only the API, for an external issuer. Its clients are not known here, so there are only a few steps. */
async function startExternal(settings: Settings, external: External): Promise<Started> {
  const { issuer, audience, introspection } = external;
  const partner = introspection && createPartnerApi({ issuer, audience, ...introspection }).router;
  const app = createApi({ issuer, audience, machineClients: settings.machineClients, partner });
  const api = await listen(app, settings.apiPorts);
  const steps = [
    ...openSteps(api.url),
    ...openPaymentsSteps(api.url),
    ...(partner === undefined ? [] : openPartnerSteps(api.url)),
  ];
  return {
    addresses: `Issuer ${issuer} (external), API ${api.url}`,
    steps: settings.once ? steps : [],
    curlCommands: externalCurlCommands(api.url, external),
    close: () => api.close(),
  };
}
