import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { TestCertificate } from './certificates.js';
import { freePort } from './redis-server.js';

/** An nginx that terminates TLS, requests client certificates and forwards requests. */
export class Nginx {
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(port: number, process: ChildProcess, folder: string) {
    this.port = port;
    this.#process = process;
    this.#folder = folder;
  }

  /** Starts nginx in front of a port; `location` has additional directives. */
  static async start(own: TestCertificate, target: number, location: string): Promise<Nginx> {
    const folder = mkdtempSync(join(tmpdir(), 'nginx-'));
    const port = await freePort();
    mkdirSync(join(folder, 'temp'));
    writeFileSync(join(folder, 'key'), own.key, { mode: 0o600 });
    writeFileSync(join(folder, 'cert'), own.cert);
    writeFileSync(join(folder, 'conf'), configuration(folder, port, target, location));
    const started = spawn('nginx', ['-p', folder, '-c', join(folder, 'conf'), '-e', 'stderr'], { stdio: 'ignore' });
    const nginx = new Nginx(port, started, folder);
    while (started.exitCode === null && !(await isOpen(port))) await setImmediate();
    if (started.exitCode === null) return nginx;
    rmSync(folder, { recursive: true });
    throw new Error(`nginx ended with ${started.exitCode}`);
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null) {
      const ended = new Promise((resolve) => this.#process.once('exit', resolve));
      this.#process.kill('SIGTERM');
      await ended;
    }
    rmSync(this.#folder, { recursive: true });
  }
}

function configuration(folder: string, port: number, target: number, location: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
    daemon off;
    master_process off;
    pid ${folder}/pid;
    events {}
    http {
      access_log off;
      ${temporary.map((name) => `${name}_temp_path ${folder}/temp/${name};`).join('\n      ')}
      server {
        listen 127.0.0.1:${port} ssl;
        ssl_certificate ${folder}/cert;
        ssl_certificate_key ${folder}/key;
        ssl_verify_client optional_no_ca;
        location / {
          proxy_pass http://127.0.0.1:${target};
          ${location}
        }
      }
    }`;
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}

const isInstalled = spawnSync('nginx', ['-v']).status === 0;

/** Tests that need nginx. Without it they are skipped, with a message; in CI that is a failure. */
export function describeWithNginx(name: string, tests: () => void): void {
  if (isInstalled) {
    describe(name, tests);
    return;
  }
  describe(name, () => {
    it('nginx tests are skipped: no nginx on PATH', () => {
      process.stderr.write(`${name}: nginx tests are skipped: no nginx on PATH\n`);
      expect(process.env.CI ?? '').toBe('');
    });
  });
}
