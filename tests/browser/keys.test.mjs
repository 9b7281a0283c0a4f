// The console by keyboard alone: every key that the help names, and every stop of the tab key to be seen.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { launch, open } from './browser.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const focused = (page) => page.evaluate(() => globalThis.document.activeElement.outerHTML.slice(0, 200));

it('a slash goes to the search box, where letters are letters, and Escape comes out of it', async () => {
  const page = await open(browser, '/topics');
  await page.keyboard.press('/');
  assert.match(await focused(page), /name="q"/);
  await page.keyboard.type('gf?jk');
  assert.equal(await page.locator('.search input').inputValue(), 'gf?jk', 'typed, not taken as keys');
  assert.equal(new URL(page.url()).pathname, '/topics');
  await page.keyboard.press('Escape');
  assert.doesNotMatch(await focused(page), /name="q"/);
  await page.done();
});

it('a word in the search box and Enter find its flows', async () => {
  const page = await open(browser, '/');
  await page.keyboard.press('/');
  await page.keyboard.type('type:OrderPlaced');
  await Promise.all([page.waitForURL('**/flows?**'), page.keyboard.press('Enter')]);
  assert.equal(new URL(page.url()).searchParams.get('q'), 'type:OrderPlaced');
  assert.ok((await page.locator('tbody tr').count()) > 0, 'flows are found');
  await page.done();
});

it('g and a letter go to each page, a question mark to the keys', async () => {
  const page = await open(browser, '/help');
  for (const [key, path] of [['f', '/flows'], ['l', '/live'], ['t', '/topics'], ['r', '/retries'], ['d', '/dead-letters'], ['a', '/alerts'], ['s', '/status'], ['o', '/']]) {
    await page.keyboard.press('g');
    await Promise.all([page.waitForURL((to) => to.pathname === path), page.keyboard.press(key)]);
  }
  await Promise.all([page.waitForURL('**/help#keys'), page.keyboard.press('?')]);
  // What the help promises is what there is.
  const promised = await page.locator('#keys tbody td:first-child').allInnerTexts();
  assert.deepEqual(promised.map((keys) => keys.replaceAll(/\s+/g, ' ').trim()), ['/', '?', 'g o', 'g f', 'g l', 'g t', 'g r', 'g d', 'g a', 'g s', 'j k', 'Esc']);
  await page.done();
});

it('j and k walk along the rows, and Enter opens one', async () => {
  const page = await open(browser, '/flows');
  const rows = await page.locator('main tbody tr td.name a').evaluateAll((links) => links.map((link) => link.getAttribute('href')));
  const at = () => page.evaluate(() => globalThis.document.activeElement.getAttribute('href'));
  await page.keyboard.press('j');
  assert.equal(await at(), rows[0]);
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  assert.equal(await at(), rows[2]);
  await page.keyboard.press('k');
  assert.equal(await at(), rows[1]);
  await Promise.all([page.waitForURL((to) => to.pathname === rows[1]), page.keyboard.press('Enter')]);
  await page.done();
});

it('the first tab stop skips to the content', async () => {
  const page = await open(browser, '/flows');
  await page.keyboard.press('Tab');
  const box = await page.locator('.skip').boundingBox();
  assert.ok(box.y >= 0, 'the skip link comes into sight');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  assert.ok(await page.evaluate(() => globalThis.document.querySelector('main').contains(globalThis.document.activeElement)), await focused(page));
  await page.done();
});

for (const path of ['/', '/flows', '/live', '/topics', '/status', '/help']) {
  it(`every tab stop of ${path} can be seen`, async () => {
    const page = await open(browser, path);
    // The search box alone opens a region that moves: 25 stops reach from the frame into the content.
    for (let stop = 0; stop < 25; stop += 1) {
      await page.keyboard.press('Tab');
      const seen = await page.evaluate(() => {
        const element = globalThis.document.activeElement;
        if (element === globalThis.document.body) return null;
        const { outlineStyle, outlineWidth } = globalThis.getComputedStyle(element);
        const box = element.getBoundingClientRect();
        const inside = box.bottom > 0 && box.top < globalThis.innerHeight && box.width > 0;
        return { what: element.outerHTML.slice(0, 120), marked: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1, inside, away: element.classList.contains('unseen') };
      });
      if (!seen) break;
      assert.ok(seen.marked, `no focus ring: ${seen.what}`);
      assert.ok(seen.inside, `out of sight: ${seen.what}`);
      assert.ok(!seen.away, `the focus is on something that nobody sees: ${seen.what}`);
    }
    await page.done();
  });
}
