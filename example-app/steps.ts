/** One thing that the walkthrough shows and checks. */
export interface Step {
  readonly title: string;
  /** Does it. Gives what there is to see; throws where that is not what was expected. */
  readonly run: () => Promise<string>;
}

export interface Expected {
  readonly status: number;
  /** What the `WWW-Authenticate` field says. Without it there must be none. */
  readonly challenge?: RegExp;
}

/** Runs the steps one after the other and tells of each. The first that fails ends it, because the next build on it. */
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

/** A step that sends a request and knows the answer. */
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
