// One Chromium for a test file, and pages opened in every way that people read them.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const url = process.env.SILLAGE_URL;

// The matrix: every page is opened in each of these. Widths are a laptop's and a telephone's.
export const ways = [true, false].flatMap((javascript) =>
  ['light', 'dark'].flatMap((theme) => [1480, 390].map((width) => ({ javascript, theme, width, name: `${javascript ? 'with' : 'without'} JavaScript, ${theme}, ${width} px` }))),
);

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    // Root has no sandbox in Chromium; the pages are our own.
    args: process.getuid() === 0 ? ['--no-sandbox'] : [],
  });
}

// A page opened at `path` in one way. `close()` fails the test if the console had an error, a script threw,
// the security policy was violated, or anything was asked from another host.
export async function open(browser, path, way = ways[0], { status = 200 } = {}) {
  const context = await browser.newContext({
    javaScriptEnabled: way.javascript,
    colorScheme: way.theme,
    viewport: { width: way.width, height: 900 },
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    // Chromium reports the status of a page that we asked for on purpose as a console error of its own.
    const expected = status >= 400 && message.text().includes(`status of ${status}`);
    if (message.type() === 'error' && !expected) complaints.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`script: ${error.message}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) complaints.push(`asked another host: ${request.url()}`);
  });
  const response = await page.goto(url + path, { waitUntil: 'load' });
  assert.equal(response.status(), status, `${path} answered ${response.status()}`);
  return Object.assign(page, {
    answer: response,
    async done() {
      await context.close();
      assert.deepEqual(complaints, [], path);
    },
  });
}

// Accessibility by axe-core: WCAG 2.2 A and AA and its best practices. Needs JavaScript in the page.
// It runs as the debugger does, past the page's security policy, which stays as it is.
export async function assertAccessible(page, { except = [] } = {}) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(
    (off) => globalThis.axe.run(globalThis.document, { rules: Object.fromEntries(off.map((rule) => [rule, { enabled: false }])) }),
    except,
  );
  const told = violations.flatMap(({ id, help, nodes }) => nodes.slice(0, 3).map((node) => `${id}: ${help}: ${node.html.slice(0, 160)} (${node.failureSummary?.split('\n').at(-1)?.trim()})`));
  assert.deepEqual(told, [], `accessibility of ${page.url()}`);
}

// Nothing may stand out of the window sideways; what is wide scrolls inside its own frame.
export async function assertFitsWidth(page) {
  const [content, window] = await page.evaluate(() => [globalThis.document.documentElement.scrollWidth, globalThis.innerWidth]);
  if (content <= window) return;
  const culprits = await page.evaluate(() =>
    [...globalThis.document.querySelectorAll('body *')]
      .filter((element) => element.getBoundingClientRect().right > globalThis.innerWidth + 0.5)
      .slice(0, 5)
      .map((element) => `${element.outerHTML.split('>')[0]}> to ${Math.round(element.getBoundingClientRect().right)} px`),
  );
  assert.fail(`${page.url()} is ${content} px wide in a window of ${window} px: ${culprits.join('; ')}`);
}

// Every text has the contrast of the theme only if the theme took hold: dark paper is dark.
export async function assertTheme(page, theme) {
  const luminance = await page.evaluate(() => {
    const { body, documentElement } = globalThis.document;
    // The paper may be the body's or the root's: what is seen is the first of them that is not see-through.
    for (const element of [body, documentElement]) {
      const canvas = globalThis.document.createElement('canvas').getContext('2d');
      canvas.fillStyle = globalThis.getComputedStyle(element).backgroundColor;
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
      if (alpha > 0) return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
    }
    return null;
  });
  assert.notEqual(luminance, null, 'the page has a background of its own');
  assert.ok(theme === 'dark' ? luminance < 0.4 : luminance > 0.6, `${theme} paper has luminance ${luminance}`);
}

// The JSON API of the same server, for tests that need a real id to visit.
export async function api(path) {
  const response = await fetch(`${url}/api/v1/${path}`);
  assert.equal(response.status, 200, `/api/v1/${path} answered ${response.status}`);
  return response.json();
}
