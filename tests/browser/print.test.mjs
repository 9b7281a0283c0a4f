// A flow on paper is an annex to a post-mortem: whole, light, nothing to click.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { api, assertFitsWidth, launch, open } from './browser.mjs';

// A4 with Chromium's usual margins, at 96 dots an inch.
const PAPER_PX = 718;

let browser;
let path;
before(async () => {
  browser = await launch();
  const { entries } = await api('search?q=status:dead&limit=50');
  const dead = entries.find((entry) => entry.kind === 'record' && entry.traceId && entry.eventType);
  assert.ok(dead, 'the demo has a dead letter with a trace');
  path = `/flow/${dead.traceId}`;
});
after(() => browser.close());

for (const theme of ['light', 'dark']) {
  for (const javascript of [true, false]) {
    it(`a dead-lettered flow prints whole, read in ${theme} ${javascript ? 'with' : 'without'} JavaScript`, async () => {
      const page = await open(browser, path, { javascript, theme, width: PAPER_PX });
      await page.emulateMedia({ media: 'print' });
      for (const away of ['.top', '.side', '.tabs', '.head .side-by']) {
        assert.equal(await page.locator(away).first().isVisible(), false, `${away} is for clicking`);
      }
      for (const there of ['h1', '.lanes', '.story', '#detail', '#detail pre', '.deliveries', '.facts a']) {
        assert.equal(await page.locator(there).first().isVisible(), true, `${there} belongs on paper`);
      }
      await assertFitsWidth(page);
      const shown = await page.evaluate(() => {
        const { document, getComputedStyle } = globalThis;
        const story = document.querySelector('.story');
        const detail = document.querySelector('#detail');
        return {
          paper: getComputedStyle(document.body).backgroundColor,
          since: getComputedStyle(document.querySelector('relative-time'), '::after').content,
          ink: getComputedStyle(document.querySelector('h1')).color,
          isTable: getComputedStyle(story.tBodies[0].rows[0]).display,
          wideLanes: document.querySelector('.drawing').scrollWidth - document.querySelector('.drawing').clientWidth,
          cutDetail: detail.scrollHeight - detail.clientHeight,
          moreTraces: [...document.querySelectorAll('.facts details li')].every((each) => each.getBoundingClientRect().height > 0),
        };
      });
      assert.equal(shown.paper, 'rgb(255, 255, 255)', 'paper is white');
      const [red, green, blue] = shown.ink.match(/\d+/g).map(Number);
      assert.ok(red + green + blue < 200, `ink is dark: ${shown.ink}`);
      assert.equal(shown.isTable, 'table-row', 'paper is wide enough for tables');
      assert.ok(shown.wideLanes <= 1, 'the drawing fits: paper does not scroll');
      assert.ok(shown.cutDetail <= 1, 'the details are whole: paper does not scroll');
      assert.match(shown.since, /\d{4}-\d\d-\d\dT/, 'the day is told, not how long ago');
      assert.ok(shown.moreTraces, 'what is folded away on the screen is open');
      await page.done();
    });
  }
}

it('a flow makes a PDF of a few pages', async () => {
  const page = await open(browser, path);
  const pdf = (await page.pdf({ format: 'A4' })).toString('latin1');
  assert.match(pdf, /^%PDF/);
  const pages = pdf.match(/\/Type\s*\/Page\b/g)?.length ?? 0;
  assert.ok(pages >= 1 && pages <= 6, `${pages} pages`);
  await page.done();
});
