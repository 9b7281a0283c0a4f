// What fires is seen on every page, silenced and lifted by hand, and a rule is written to paste.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { api, assertAccessible, assertFitsWidth, launch, open, ways } from './browser.mjs';

// The usual rules hold in the demo, whose shop has dead letters: their cause is new.
const FIRES_MS_MAX = 60_000;
const LIVE_MS_MAX = 15_000;
const withoutJavascript = ways.find((way) => !way.javascript);

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

// What tells an alert's row from others; counts in its words change meanwhile.
const whose = ({ labels }) => labels.cause ?? labels.group ?? labels.source;
const loud = async () => (await api('alerts')).alerts.filter((alert) => alert.state === 'firing' && !alert.silence);

async function firing() {
  const patience = Date.now() + FIRES_MS_MAX;
  while (Date.now() < patience) {
    const [alert] = await loud();
    if (alert) return alert;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  throw new Error('nothing fires in the demo');
}

it('what fires stands on the page, leads to what it is about, and the title and the icon of every page say so', async () => {
  const alert = await firing();
  const page = await open(browser, '/alerts', withoutJavascript);
  const row = page.locator('tbody tr', { hasText: whose(alert) }).first();
  assert.match(await row.innerText(), /firing/);
  await row.locator('th a').first().click();
  await page.waitForURL(`**/${alert.page}`);
  assert.match(await page.title(), /^\(\d+\) /);
  assert.match(await page.locator('link[rel=icon]').getAttribute('href'), /icon-firing/);
  await page.done();
});

it('an alert is silenced with a reason and lifted again without a script, and an open page follows by itself', async () => {
  const alert = await firing();
  const overview = await open(browser, '/');
  const titled = (holds) => overview.waitForFunction(holds, undefined, { timeout: LIVE_MS_MAX });
  await titled(() => /^\(\d+\) /.test(globalThis.document.title));
  const page = await open(browser, '/alerts', withoutJavascript);
  for (const { name } of await loud()) {
    await page.goto(new URL(`/alerts/silence?rule=${encodeURIComponent(name)}`, page.url()).href);
    await page.locator('#reason').fill('a test looks at silences');
    await page.locator('main button').click();
    await page.waitForURL('**/alerts');
  }
  assert.match(await page.locator('#silences').innerText(), /a test looks at silences/);
  assert.match(await page.locator('tbody tr', { hasText: whose(alert) }).first().innerText(), /silenced by operator/);
  await titled(() => !globalThis.document.title.startsWith('('));
  assert.doesNotMatch(await overview.locator('link[rel=icon]').getAttribute('href'), /icon-firing/);
  while ((await page.locator('#silences button').count()) > 0) {
    await Promise.all([page.waitForNavigation(), page.locator('#silences button').first().click()]);
  }
  await titled(() => globalThis.document.title.startsWith('('));
  await page.done();
  await overview.done();
});

it('a rule is written to paste, and a mistake in it is named', async () => {
  const page = await open(browser, '/alerts/rule', withoutJavascript);
  await page.locator('#kind').selectOption('missing_reaction');
  await page.locator('button', { hasText: 'Choose' }).click();
  await page.waitForURL('**kind=missing_reaction**');
  await page.locator('#field-event').fill('OrderPlaced');
  await page.locator('#field-one_of').fill('PaymentCaptured, PaymentFailed');
  await page.locator('#field-within').fill('a minute');
  await page.locator('#field-name').fill('nobody was charged');
  await page.locator('button', { hasText: 'Write it' }).click();
  assert.match(await page.locator('[role=alert]').innerText(), /a minute/);
  await page.locator('#field-within').fill('60s');
  await page.locator('button', { hasText: 'Write it' }).click();
  const toml = await page.locator('pre').innerText();
  assert.match(toml, /^\[\[alert\]\]\nname = "nobody was charged"\nkind = "missing_reaction"\nevent = "OrderPlaced"\none_of = \["PaymentCaptured", "PaymentFailed"\]\nwithin = "1m"/);
  await page.goto(page.url());
  assert.equal(await page.locator('pre').innerText(), toml, 'the address holds all of it');
  await page.done();
});

for (const way of ways.filter((way) => way.javascript)) {
  it(`the form of a silence reads well ${way.name}`, async () => {
    const page = await open(browser, '/alerts/silence?rule=late&l=group%3Dbilling', way);
    await assertFitsWidth(page);
    await assertAccessible(page);
    await page.done();
  });
}
