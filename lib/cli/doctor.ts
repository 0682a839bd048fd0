import type { CommandIo, ExitStatus } from './io.js';
import { UsageError } from './usage.js';

export function doctor(_args: string[], _io: CommandIo): Promise<ExitStatus> {
  return Promise.reject(new UsageError('not written yet'));
}
