// Every page in every way: JavaScript on and off, light and dark, wide and narrow. A new page is one line in `pages`.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { api, assertAccessible, assertFitsWidth, assertTheme, launch, open, ways } from './browser.mjs';

// Each: the path to visit (worked out from the running demo where an id is needed).
const pages = {
  overview: async () => '/',
  flows: async () => '/flows',
  flow: async () => `/flow/${await someTrace()}`,
  event: async () => `/event/${(await someRecord()).eventId}`,
  record: async () => {
    const { position } = await someRecord();
    return `/record/${position.source}/${position.channel}/${position.place.partition}@${position.place.offset}`;
  },
  'dead-lettered flow': async () => {
    const { entries } = await api('search?q=status:dead&limit=50');
    return `/flow/${entries.find((entry) => entry.kind === 'record' && entry.eventType && entry.traceId).traceId}`;
  },
  'unreadable record': async () => {
    const { entries } = await api('search?q=topic:order.placed&limit=1000');
    const { position } = entries.find((entry) => entry.kind === 'record' && !entry.eventType);
    return `/record/${position.source}/${position.channel}/${position.place.partition}@${position.place.offset}`;
  },
  deliveries: async () => `/flow/${await someTrace()}?tab=deliveries`,
  spans: async () => `/flow/${await someTrace()}?tab=spans`,
  logs: async () => `/flow/${await someTrace()}?tab=logs`,
  'found nothing': async () => '/flows?q=type:Nonsense',
  'bad query': async () => '/flows?q=type:(',
  alerts: async () => '/alerts',
  'alert rule': async () => '/alerts/rule?kind=lag_time&name=late&above=30s',
  help: async () => '/help',
  topics: async () => '/topics',
  topic: async () => {
    const { source, topic } = (await api('topics')).topics[0];
    return `/topic/${encodeURIComponent(source)}/${encodeURIComponent(topic)}`;
  },
  'topic from a time on': async () => {
    const { source, topic } = (await api('topics')).topics[0];
    return `/topic/${encodeURIComponent(source)}/${encodeURIComponent(topic)}?at=-1s`;
  },
  groups: async () => '/groups?sort=lag',
  group: async () => {
    const { source, group } = await someGroup();
    return `/group/${encodeURIComponent(source)}/${encodeURIComponent(group)}`;
  },
  'group over a week, in time': async () => {
    const { source, group } = await someGroup();
    return `/group/${encodeURIComponent(source)}/${encodeURIComponent(group)}?window=7d&of=time`;
  },
  retries: async () => '/retries?window=1h',
  'dead letters': async () => '/dead-letters?state=any',
  'webhook deliveries': async () => '/alerts/deliveries',
  'what a redrive would do': async () => '/redrive?state=any',
  live: async () => '/live',
  status: async () => '/status',
};

async function someRecord() {
  const { entries } = await api('search?limit=200');
  const record = entries.find((entry) => entry.kind === 'record' && entry.eventId && entry.traceId);
  assert.ok(record, 'the demo has a record with an event id and a trace id');
  return record;
}
// Groups are asked for every ten seconds.
async function someGroup() {
  for (let tries = 0; tries < 60; tries += 1) {
    const { groups } = await api('groups');
    if (groups.some((group) => group.lag !== null)) return groups.find((group) => group.lag !== null);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error('the demo has no consumer group');
}
const someTrace = async () => (await someRecord()).traceId;

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

for (const [name, path] of Object.entries(pages)) {
  describe(`the ${name} page`, () => {
    for (const way of ways) {
      it(`reads well ${way.name}`, async () => {
        const page = await open(browser, await path(), way);
        assert.equal(await page.locator('h1').count(), 1, 'one heading of the first order');
        assert.equal(await page.locator('main#main').count(), 1, 'one main part, the target of the skip link');
        assert.match(await page.title(), /Sillage/);
        // Evaluation by the debugger works with the page's own scripts off.
        await assertFitsWidth(page);
        await assertTheme(page, way.theme);
        if (way.javascript) await assertAccessible(page);
        await page.done();
      });
    }
  });
}

it('an unknown page says so and offers a way on', async () => {
  const page = await open(browser, '/no-such-page', ways[0], { status: 404 });
  assert.ok((await page.locator('main a').count()) > 0, 'a link out of the dead end');
  await assertAccessible(page);
  await page.done();
});
