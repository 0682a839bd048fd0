import { fork } from 'node:child_process';

/** A process that responds to requests over IPC, with one result per request. */
export class Child {
  #process;
  #open = new Map();
  #nextId = 0;

  /** @param {URL} file @param {{ execArgv?: string[], execPath?: string }} [options]  `execPath`: another Node.js */
  constructor(file, { execArgv = [], execPath = process.execPath } = {}) {
    this.#process = fork(file, { execArgv, execPath, env: { ...process.env, NODE_ENV: 'production' } });
    this.#process.on('message', ({ id, result, error }) => {
      const { resolve, reject } = this.#open.get(id);
      this.#open.delete(id);
      if (error === undefined) resolve(result);
      else reject(new Error(error));
    });
    this.#process.on('exit', () => {
      for (const { reject } of this.#open.values()) reject(new Error(`${file} ended before it responded`));
    });
  }

  call(method, parameters = {}) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject });
      this.#process.send({ id, method, ...parameters });
    });
  }

  async end() {
    if (this.#process.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.disconnect();
    await ended;
  }
}
