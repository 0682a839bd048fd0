/** One step that the example shows and checks. */
export interface Step {
  readonly title: string;
  /** Runs the step and returns what happened; throws if that was not expected. */
  readonly run: () => Promise<string>;
}

export interface Expected {
  readonly status: number;
  /** The expected `WWW-Authenticate` field. Without this member, the response must not have the field. */
  readonly challenge?: RegExp;
}

/** Runs and logs the steps in order. Stops at the first failure, because later steps depend on it. */
export async function runSteps(steps: readonly Step[], log: (line: string) => void): Promise<boolean> {
  for (const { title, run } of steps) {
    try {
      log(`ok    ${title}\n      ${await run()}`);
    } catch (error) {
      log(`FAIL  ${title}\n      ${error instanceof Error ? error.message : String(error)}`);
      return false;
    }
  }
  return true;
}

/** A step that sends a request and checks the response. */
export function request(title: string, send: () => Promise<Response>, expected: Expected): Step {
  return { title, run: async () => check(await send(), expected) };
}

async function check(response: Response, { status, challenge }: Expected): Promise<string> {
  const field = response.headers.get('WWW-Authenticate');
  const seen = `${response.status} ${field === null ? await response.text() : `WWW-Authenticate: ${field}`}`;
  if (response.status !== status) throw new Error(`expected ${status}, got ${seen}`);
  if (challenge === undefined ? field !== null : !challenge.test(field ?? '')) {
    throw new Error(`expected ${challenge === undefined ? 'no challenge' : `the challenge ${challenge}`}, got ${seen}`);
  }
  return seen;
}
