import { createApi } from './api.js';
import { startExample } from './example.js';
import { createPartnerApi } from './partner-api.js';
import { openPartnerSteps, partnerSteps } from './partner-steps.js';
import { externalHints, hints } from './hints.js';
import { listen } from './listen.js';
import type { External, Settings } from './settings.js';
import { runSteps, type Step } from './steps.js';
import { openPaymentsSteps, paymentsSteps } from './payments-steps.js';
import { openSteps, walkthrough } from './walkthrough.js';

interface Started {
  readonly addresses: string;
  readonly steps: readonly Step[];
  readonly hints: string;
  close(): Promise<void>;
}

export interface Running {
  /** 0 where every step went as expected, 1 where one did not. */
  readonly exitStatus: 0 | 1;
  close(): Promise<void>;
}

/** Starts the servers, walks through the steps, and leaves the servers running. */
export async function run(settings: Settings, log: (line: string) => void): Promise<Running> {
  const { external } = settings;
  const started = await (external === undefined ? startEmbedded(settings) : startExternal(settings, external));
  log(`${started.addresses}\n`);
  const isAsExpected = await runSteps(started.steps, log);
  if (!isAsExpected) log('\nThe last step did not go as expected.');
  if (!settings.once) log(`\nStill running; Ctrl-C ends it. Try:\n\n${started.hints}\n`);
  return { exitStatus: isAsExpected ? 0 : 1, close: () => started.close() };
}

async function startEmbedded(settings: Settings): Promise<Started> {
  const example = await startExample(settings);
  return {
    addresses: `Issuer ${example.issuer.url}, API ${example.api}`,
    steps: [...walkthrough(example), ...partnerSteps(example), ...paymentsSteps(example)],
    hints: await hints(example),
    close: () => example.close(),
  };
}

/** Only the API, for an issuer that runs elsewhere: without its clients there is little to walk through. */
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
    hints: externalHints(api.url, external),
    close: () => api.close(),
  };
}
