// Starts one Sillage with its demo for all test files, waits until its pages are full, runs node's own test runner, stops it again.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Sillage } from './sillage.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const files = process.argv.slice(2);
const tests = files.length > 0 ? files : readdirSync(here).filter((name) => name.endsWith('.test.mjs')).sort();

// Nobody listens there: what they are told fails, and is tried again.
const webhooks = ['nobody', 'nobody-else'].map((name) => `[[webhook]]
name = "${name}"
url = "http://127.0.0.1:9/hook"
secret = "whsec_bm9ib2R5IG5vYm9keSBub2JvZHkgbm9ib2R5IG5vYm9keQ=="
allow_private = true
`);

let sillage;
let url = process.env.SILLAGE_URL;
if (!url) {
  sillage = await Sillage.start('demo', `${webhooks.join('')}\n[redrive]\nenabled = true\n`);
  await sillage.filled();
  url = sillage.url;
}
// One file at a time: two cores, and Chromium wants one of them.
const runner = spawn(process.execPath, ['--test', '--test-concurrency=1', '--test-reporter=spec', ...tests], {
  cwd: here,
  env: { ...process.env, SILLAGE_URL: url },
  stdio: ['ignore', 'inherit', 'inherit'],
});
const code = await new Promise((resolve) => runner.on('exit', (status) => resolve(status ?? 1)));
if (code !== 0 && sillage) console.error(`the end of Sillage's log:\n${sillage.logTail()}`);
await sillage?.stop();
process.exit(code);
