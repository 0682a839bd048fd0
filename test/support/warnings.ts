import { afterEach, jest } from '@jest/globals';

/** A process warning of this package. */
export interface RecordedWarning {
  readonly code: string;
  readonly message: string;
}

afterEach(() => {
  jest.restoreAllMocks();
});

/**
 * The warnings of this package from now on, until the test ends. They are recorded where they are emitted, because the
 * events of the real process do not reach the tests.
 */
export function recordWarnings(): RecordedWarning[] {
  const warnings: RecordedWarning[] = [];
  const record = (message: string | Error, options?: unknown): void => {
    const { type, code } = options as { type?: unknown; code?: unknown };
    if (type === 'ResourceServerWarning') warnings.push({ code: String(code), message: String(message) });
  };
  jest.spyOn(process, 'emitWarning').mockImplementation(record);
  return warnings;
}

export const codesOf = (warnings: readonly RecordedWarning[]): string[] => warnings.map(({ code }) => code);
