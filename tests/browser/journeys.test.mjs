// What people come for, from page to page, in a console that goes on receiving.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { api, assertAccessible, assertFitsWidth, launch, open, url, ways } from './browser.mjs';
import { Sillage } from './sillage.mjs';

// How long a page that lives may take to show what arrived: it asks every 2 s, on two busy cores.
const LIVE_MS_MAX = 20_000;

const withoutJavascript = { ...ways[0], javascript: false };

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

it('the overview names what is wrong, leads to it, and shows what arrives by itself', async () => {
  const page = await open(browser, '/');
  await page.locator('.tile', { hasText: 'dead letter' }).waitFor();
  assert.match(await page.locator('.brief tbody tr').first().innerText(), /dead-lettered/, 'dead letters first');
  const before = await page.locator('live-region').innerText();
  await page.waitForFunction((was) => globalThis.document.querySelector('live-region').innerText !== was, before, { timeout: LIVE_MS_MAX });
  const row = page.locator('.brief tbody tr', { hasText: 'dead-lettered in billing' }).first();
  const key = (await row.locator('a').innerText()).split(' ').at(-1);
  await row.locator('a').click();
  await page.waitForURL('**/flow/**');
  assert.ok((await page.locator('h1').innerText()).includes(key));
  await page.done();
});

it('a dead-lettered order says who gave up, after how many attempts, why, and where the time went', async () => {
  const page = await open(browser, '/flows?q=status:dead+type:OrderPlaced');
  await page.locator('tbody tr', { hasText: 'dead-lettered in billing' }).first().locator('a').click();
  await page.waitForURL('**/flow/**');
  assert.match(await page.locator('.head .pill').innerText(), /dead-lettered in billing/);
  assert.match(await page.locator('.budget-words').innerText(), /backing off between retries/);
  const story = await page.locator('.story').innerText();
  for (const told of [/shop-api published OrderPlaced/, /attempt 1 · timeout/, /attempt 3 · timeout/, /gave up \(GatewayTimeoutException\)/]) assert.match(story, told);
  assert.match(await page.locator('.deliveries').innerText(), /billing\s+dead after 3 attempts[\s\S]*GatewayTimeoutException/);
  assert.match(await page.locator('#detail pre').first().innerText(), /"orderId": "order-/);
  await page.done();
});

for (const way of [ways[0], withoutJavascript]) {
  it(`an entry of a flow is picked, and its address can be sent on, ${way.javascript ? 'with' : 'without'} JavaScript`, async () => {
    const { entries } = await api('search?q=status:dead+type:OrderPlaced&limit=50');
    const page = await open(browser, `/flow/${entries.find((entry) => entry.traceId).traceId}`, way);
    await page.locator('.story a', { hasText: 'attempt 3' }).click();
    await page.waitForURL(/[?&]at=\d+/);
    await page.locator('#detail', { hasText: 'spanId' }).waitFor();
    assert.match(await page.locator('.story tr[aria-current]').innerText(), /attempt 3/);
    const shown = await page.locator('#detail').innerText();
    await page.goto(page.url());
    assert.equal(await page.locator('#detail').innerText(), shown, 'the pasted address shows the same entry');
    for (const tab of ['Deliveries', 'Records', 'Spans', 'Logs', 'Findings', 'Raw']) {
      await page.locator('.tabs a', { hasText: tab }).click();
      await page.locator('.tabs a[aria-current]', { hasText: tab }).waitFor();
    }
    await page.done();
  });
}

it('a key, an event id, a trace id and a position are found by the search box', async () => {
  const { entries } = await api('search?q=type:OrderPlaced&limit=20');
  const record = entries.find((entry) => entry.kind === 'record' && entry.eventId && entry.traceId && entry.key);
  const place = `${record.position.channel} p${record.position.place.partition}@${record.position.place.offset}`;
  for (const [asked, lands] of [[record.key, /^\/flows$/], [record.traceId, /^\/flow\//], [record.eventId, /^\/(event|flow)\//], [place, /^\/(record|flow)\//]]) {
    const page = await open(browser, '/status', withoutJavascript);
    await page.locator('.search input').fill(asked);
    await page.locator('.search input').press('Enter');
    await page.waitForURL((to) => lands.test(to.pathname));
    assert.ok((await page.locator('main').innerText()).includes(record.key), `${asked} leads to ${record.key}`);
    await page.done();
  }
});

it('a query that finds nothing says how to ask, one that can not be read says where it is wrong', async () => {
  const nothing = await open(browser, '/flows?q=type:Nonsense');
  assert.match(await nothing.locator('.empty').innerText(), /No flow has an entry for which this holds/);
  await nothing.done();
  const wrong = await open(browser, '/flows?q=type:(');
  assert.equal(await wrong.locator('[role=alert] mark').innerText(), '(');
  assert.equal(await wrong.locator('main table').count(), 0, 'no empty list beside it');
  await wrong.done();
});

it('live shows records as they come, and rests when told to', async () => {
  const page = await open(browser, '/live');
  const newest = () => page.locator('main tbody tr').first().innerText();
  const first = await newest();
  await page.waitForFunction((was) => globalThis.document.querySelector('main tbody tr').innerText !== was, first, { timeout: LIVE_MS_MAX });
  await page.locator('button', { hasText: 'Pause' }).click();
  const rested = await newest();
  await page.locator('button', { hasText: 'new, show' }).waitFor({ timeout: LIVE_MS_MAX });
  assert.equal(await newest(), rested, 'rows do not move under the hand');
  await page.locator('button', { hasText: 'Go on' }).click();
  await page.waitForFunction((was) => globalThis.document.querySelector('main tbody tr').innerText !== was, rested, { timeout: LIVE_MS_MAX });
  await page.done();
});

it('a topic tells who writes and reads it, and leads to each record’s flow', async () => {
  const page = await open(browser, '/topics', withoutJavascript);
  const row = page.locator('tbody tr', { has: page.locator('a', { hasText: /^order\.placed$/ }) });
  assert.match(await row.innerText(), /shop-api[\s\S]*billing/);
  await row.locator('a').click();
  await page.waitForURL('**/topic/**');
  await page.locator('.topic-records tbody tr', { hasText: 'OrderPlaced' }).first().locator('a').click();
  await page.waitForURL('**/record/**');
  assert.match(await page.locator('h1').innerText(), /OrderPlaced order-/);
  await page.done();
});

it('the group that is behind is found, its course drawn, and the message it waits on leads to its flow', async () => {
  const path = '/group/demo/analytics';
  for (let tries = 0; tries < 120; tries += 1) {
    const { groups } = await api('groups');
    const { course, partitions } = groups.some((group) => group.group === 'analytics') ? (await api('groups/demo/analytics')).groups[0] : {};
    if (partitions?.some((partition) => partition.waitingOn?.held) && course.filter((level) => level.lag !== null).length > 2) break;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const page = await open(browser, '/groups?sort=lag&name=analytics', withoutJavascript);
  await page.locator('tbody a', { hasText: 'analytics' }).click();
  await page.waitForURL(`**${path}`);
  assert.ok((await page.locator('.course .grid').count()) >= 2, 'the chart has an axis');
  await page.locator('summary', { hasText: 'The same as a table' }).click();
  assert.match(await page.locator('details table').innerText(), /Lag, records/);
  await page.locator('nav a', { hasText: '1 h' }).click();
  await page.waitForURL('**?window=1h');
  await page.locator('td[data-label="waiting on"] a').first().click();
  await page.waitForURL('**/record/**');
  await page.done();
});

for (const way of [ways[0], withoutJavascript]) {
  it(`a dead letter is sent back after it was shown to whom, and followed, ${way.javascript ? 'with' : 'without'} JavaScript`, async () => {
    const page = await open(browser, '/dead-letters', way);
    await page.locator('tbody input[name=at]').first().check();
    await page.locator('button', { hasText: 'Send the selected back' }).click();
    await page.waitForURL('**/redrive?**');
    assert.match(await page.locator('h1').innerText(), /Send 1 dead letter back/);
    for (const box of await page.locator('.confirm input').all()) await box.check();
    await page.locator('button', { hasText: 'Send 1 message' }).click();
    await page.waitForURL(/\/redrive\/[0-9a-f]+$/);
    // The page loads itself again.
    await page.locator('h2', { hasText: '1 sent' }).waitFor({ timeout: LIVE_MS_MAX });
    // It may have died again already: then there are two.
    await page.locator('td a', { hasText: /p\d+@\d+/ }).first().waitFor();
    await assertFitsWidth(page);
    if (way.javascript) await assertAccessible(page);
    await page.done();
  });
}

for (const way of [ways[0], withoutJavascript]) {
  it(`one dead letter is edited, looked at as a difference, and sent so, ${way.javascript ? 'with' : 'without'} JavaScript`, async () => {
    const page = await open(browser, '/dead-letters?state=any', way);
    // One whose value is JSON, and that no other order has sent back yet.
    const names = await page.locator('tbody input[name=at]').evaluateAll((boxes) => boxes.map((box) => box.value));
    let field;
    for (const name of names) {
      await page.goto(`${url}/redrive?override=yes&at=${encodeURIComponent(name)}`);
      field = page.locator('textarea[name=value]');
      if (await field.count() && await page.locator('button', { hasText: 'Send 1 message' }).count()) break;
    }
    const before = await field.inputValue();
    assert.ok(before.startsWith('{'), before);
    await page.locator('button', { hasText: 'Show what is changed' }).click();
    await page.locator('#edit', { hasText: 'Nothing is changed' }).waitFor();
    await field.fill(before.replace(/}\s*$/, ',\n"edited":"<b>by hand</b>"}'));
    await page.locator('button', { hasText: 'Show what is changed' }).click();
    await page.locator('ins', { hasText: '"edited": "<b>by hand</b>"' }).waitFor();
    await assertFitsWidth(page);
    if (way.javascript) await assertAccessible(page);
    for (const box of await page.locator('.confirm input').all()) await box.check();
    await page.locator('button', { hasText: 'Send 1 message, edited' }).click();
    await page.waitForURL(/\/redrive\/[0-9a-f]+$/);
    await page.locator('h2', { hasText: '1 sent' }).waitFor({ timeout: LIVE_MS_MAX });
    await page.locator('ins', { hasText: '"edited": "<b>by hand</b>"' }).waitFor();
    await assertFitsWidth(page);
    await page.done();
  });
}

it('status tells how each source fares', async () => {
  const page = await open(browser, '/status', withoutJavascript);
  for (const source of ['demo', 'otlp']) assert.match(await page.locator('#sources tbody tr', { hasText: source }).first().innerText(), /up/);
  assert.match(await page.locator('#store').innerText(), /Records\s+[\d,]+/);
  await page.done();
});

it('every example of the help can be asked', async () => {
  const page = await open(browser, '/help', withoutJavascript);
  const examples = await page.locator('#asking tbody a').evaluateAll((links) => links.map((link) => link.getAttribute('href')));
  assert.ok(examples.length > 8);
  for (const example of examples) {
    const answer = await (await fetch(url + example)).text();
    assert.ok(!answer.includes('The query can&#39;t be read') && !answer.includes("The query can't be read"), example);
  }
  await page.done();
});

it('a theme is chosen without a script, and stays', async () => {
  const page = await open(browser, '/help', withoutJavascript);
  await page.locator('.themes button', { hasText: 'Dark' }).click();
  await page.locator('html[data-theme=dark]').waitFor();
  await page.goto(`${url}/topics`);
  assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark');
  assert.equal(await page.locator('.themes [aria-pressed=true]').innerText(), 'Dark');
  await page.done();
});

it('before anything has arrived, the overview says what to do; behind a login, it asks for it', async () => {
  const sillage = await Sillage.start('serve', '[[access]]\nname = "ann"\nsecret = "a secret of ann"\nrole = "view"\n');
  try {
    for (const way of [ways[0], withoutJavascript, ...ways.filter((way) => way.javascript && way.width === 390)]) {
      const context = await browser.newContext({ javaScriptEnabled: way.javascript, colorScheme: way.theme, viewport: { width: way.width, height: 900 } });
      const page = await context.newPage();
      await page.goto(`${sillage.url}/topics`);
      assert.equal(await page.locator('h1').innerText(), 'Log in');
      await assertFitsWidth(page);
      if (way.javascript) await assertAccessible(page);
      await page.locator('#secret').fill('a guess of mine');
      await page.locator('main button').click();
      await page.locator('[role=alert]').waitFor();
      await page.locator('#secret').fill('a secret of ann');
      await page.locator('main button').click();
      await page.waitForURL('**/topics');
      await page.goto(`${sillage.url}/`);
      assert.equal(await page.locator('h1').innerText(), 'Nothing has arrived yet');
      assert.match(await page.locator('main').innerText(), /OTEL_EXPORTER_OTLP_ENDPOINT=http:\/\//);
      await assertFitsWidth(page);
      if (way.javascript) await assertAccessible(page);
      await page.locator('button', { hasText: 'Log out' }).click();
      await page.locator('h1', { hasText: 'Log in' }).waitFor();
      await context.close();
    }
  } finally {
    await sillage.stop();
  }
});

for (const way of [ways[0], { ...withoutJavascript, width: 390 }]) {
  it(`an operator tries a webhook, sees what came of it, and sends it again, ${way.javascript ? 'with' : 'without'} JavaScript`, async () => {
    const name = way.javascript ? 'nobody' : 'nobody-else';
    const page = await open(browser, `/alerts/deliveries?webhook=${name}`, way);
    await page.getByRole('form', { name: `Try ${name}`, exact: true }).getByRole('button', { name: 'Send a test' }).click();
    await page.waitForURL(/[?&]id=msg_/);
    const attempts = page.locator('.detail tbody tr', { hasText: 'no answer' });
    for (let tries = 0; tries < 50 && (await attempts.count()) === 0; tries += 1) await page.getByRole('link', { name: 'Look again' }).click();
    assert.match(await attempts.first().innerText(), /can't be reached at 127\.0\.0\.1:9/);
    assert.match(await page.locator('#webhooks').innerText(), /nobody[\s\S]*http:\/\/127\.0\.0\.1:9/);
    assert.ok(!(await page.content()).includes('/hook'), 'of an address only the host is shown');
    await assertFitsWidth(page);
    if (way.javascript) await assertAccessible(page);
    const told = page.url();
    await page.getByRole('button', { name: 'Send again' }).click();
    await page.waitForURL(told);
    await page.done();
  });
}
