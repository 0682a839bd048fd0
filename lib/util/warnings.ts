import { escapeControls } from './escape.js';

/**
 * Emits a process warning: one line in the console of every process, without any code. The code is stable;
 * `docs/errors.md` explains each.
 */
export function warn(code: string, message: string): void {
  process.emitWarning(escapeControls(message), { type: 'ResourceServerWarning', code });
}
