// The built program as a process of its own, on free ports, with a data folder that goes away afterwards.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

// A cold start on two busy cores; the product's own promise (5 s to full pages) is tested elsewhere.
const READY_MS_MAX = 60_000;
const LOG_LINES_MAX = 200;

const program = process.env.SILLAGE_BIN ?? fileURLToPath(new URL('../../target/release/sillage', import.meta.url));

export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Sillage {
  // mode: 'demo' or 'serve'; configuration: more TOML, after [web], [otlp] and [store].
  static async start(mode, configuration = '') {
    if (!existsSync(program)) throw new Error(`no ${program}: run cargo build --release first`);
    const folder = mkdtempSync(join(tmpdir(), 'sillage-browser-'));
    const [web, grpc, http] = [await freePort(), await freePort(), await freePort()];
    const file = join(folder, 'sillage.toml');
    writeFileSync(
      file,
      `[web]\nlisten = "127.0.0.1:${web}"\n[otlp]\ngrpc = "127.0.0.1:${grpc}"\nhttp = "127.0.0.1:${http}"\n[store]\npath = "${join(folder, 'data')}"\n${configuration}`,
    );
    const sillage = new Sillage(spawn(program, [mode, '--config', file], { stdio: ['ignore', 'pipe', 'pipe'] }), folder, {
      url: `http://127.0.0.1:${web}`,
      otlp: `http://127.0.0.1:${http}`,
    });
    await sillage.until('/readyz answers 200', async () => (await fetch(`${sillage.url}/readyz`)).status === 200);
    return sillage;
  }

  constructor(child, folder, { url, otlp }) {
    Object.assign(this, { child, folder, url, otlp, log: [] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.log.push(...text.split('\n'));
        this.log.splice(0, Math.max(0, this.log.length - LOG_LINES_MAX));
      });
    }
    this.ended = new Promise((resolve) => child.on('exit', resolve));
    this.exited = false;
    this.ended.then(() => (this.exited = true));
    process.on('exit', () => child.kill('SIGKILL'));
  }

  // Until the demo's own flows can be found: pages tested before that would be tested empty.
  filled() {
    return this.until('search finds records and spans', async () => {
      const answer = await (await fetch(`${this.url}/api/v1/search?limit=200`)).json();
      const kinds = new Set((answer.entries ?? []).map((entry) => entry.kind));
      return kinds.has('record') && kinds.has('span');
    });
  }

  async until(what, holds) {
    const patience = Date.now() + READY_MS_MAX;
    let last = '';
    while (Date.now() < patience) {
      if (this.exited) throw new Error(`sillage ended before this held: ${what}\n${this.logTail()}`);
      try {
        if (await holds()) return;
      } catch (error) {
        last = String(error.cause ?? error);
      }
      await sleep(100);
    }
    throw new Error(`within ${READY_MS_MAX / 1000} s this never held: ${what} ${last}\n${this.logTail()}`);
  }

  logTail() {
    return this.log.slice(-40).join('\n');
  }

  async stop() {
    this.child.kill('SIGTERM');
    const patience = new AbortController();
    sleep(20_000, undefined, { signal: patience.signal }).then(
      () => this.child.kill('SIGKILL'),
      () => {},
    );
    await this.ended;
    patience.abort();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
