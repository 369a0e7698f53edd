// Drives every page and action of a server that has the demo's tasks: node drive.mjs URL
import assert from 'node:assert/strict';
import { AxeBuilder } from '@axe-core/playwright';
import { pages, start, WIDTHS } from './browser.mjs';

const base = process.argv[2];
const host = new URL(base).host;
const browser = await start();
const faults = [];

/// A page that notes whatever must not happen: another host, a complaint of the browser, a script that fails.
async function open(options) {
  const context = await browser.newContext({ viewport: WIDTHS.desktop, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(10000);
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.host !== host && url.protocol !== 'data:') faults.push(`asked another host: ${url}`);
  });
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !message.text().includes('status of 4')) faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`script: ${error}`));
  return page;
}

const live = (page) => page.waitForFunction(() => document.getElementById('link').textContent === 'live');
const steps = [];
const step = (name, run) => steps.push([name, run]);

// Contrast is a matter of the scheme and layout one of the width: two of the four pairs show both.
for (const [colorScheme, width] of [['light', 'desktop'], ['dark', 'phone']]) {
  const viewport = WIDTHS[width];
  step(`no page has a serious fault of accessibility, ${colorScheme}, ${width}`, async () => {
    const page = await open({ colorScheme, viewport });
    for (const [name, path] of await pages(base)) {
      await page.goto(base + path);
      const { violations } = await new AxeBuilder({ page }).analyze();
      for (const { id, impact, nodes } of violations) {
        if (['serious', 'critical'].includes(impact)) faults.push(`${name} ${colorScheme} ${viewport.width}: ${id} at ${nodes.map((node) => node.html).slice(0, 3).join(' and ')}`);
      }
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) faults.push(`${name} ${viewport.width}: wider than the window by ${wide}`);
    }
  });
}

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'with a script' : 'without any script';
  const on = async (path) => {
    const page = await open({ javaScriptEnabled });
    await page.goto(base + path);
    if (javaScriptEnabled) await page.waitForFunction(() => window.htmx && window.Idiomorph);
    return page;
  };

  step(`a run is asked for by the form of its task, ${how}`, async () => {
    const page = await on('ui/tasks/resize');
    await page.getByLabel('path').fill('in/a.jpg');
    await page.locator('[name="/width"]').fill('640');
    await page.getByLabel('quality').selectOption('exact');
    await page.getByLabel('overwrite').check();
    await page.getByLabel('copies').fill('one\ntwo');
    await page.getByLabel('token').fill('hunter2');
    await page.locator('[name="/crop/width"]').fill('10');
    await page.locator('[name="/crop/height"]').fill('20');
    await page.getByRole('button', { name: 'Run resize' }).click();
    await page.waitForURL(/\/ui\/runs\/[0-9a-f-]{36}/);
    const params = JSON.parse(await page.getByLabel('Parameters', { exact: true }).locator('visible=true').last().innerText());
    assert.deepEqual(params, { path: 'in/a.jpg', width: 640, quality: 'exact', overwrite: true, copies: ['one', 'two'], token: '[redacted]', crop: { width: 10, height: 20 } });
  });

  step(`what is wrong is said beside its field, and what was said is kept, ${how}`, async () => {
    const page = await on('ui/tasks/resize');
    await page.getByLabel('path').fill('kept.jpg');
    await page.locator('form').evaluateAll((forms) => forms.forEach((form) => { form.noValidate = true; })).catch(() => {});
    await page.locator('[name="/width"]').evaluate((field) => { field.removeAttribute('max'); });
    await page.locator('[name="/width"]').fill('99999');
    await page.getByRole('button', { name: 'Run resize' }).click();
    await page.locator('[name="/width"][aria-invalid=true]').waitFor();
    assert.equal(await page.getByLabel('path').inputValue(), 'kept.jpg');
    assert.match(await page.locator('#p-width-fault').innerText(), /10000/);
  });

  step(`parameters are written as JSON, ${how}`, async () => {
    const page = await on('ui/tasks/resize');
    await page.getByRole('link', { name: 'Write the parameters as JSON' }).click();
    await page.getByLabel('Parameters as JSON').fill('{"path": ');
    await page.getByRole('button', { name: 'Run resize' }).click();
    await page.getByText('not JSON').waitFor();
    await page.getByLabel('Parameters as JSON').fill('{"path": "b.jpg", "width": 1}');
    await page.getByRole('button', { name: 'Run resize' }).click();
    await page.waitForURL(/\/ui\/runs\/[0-9a-f-]{36}/);
  });

  step(`a task is disabled and enabled, a queue paused and resumed, ${how}`, async () => {
    const page = await on('ui/tasks');
    await page.getByRole('button', { name: 'Disable report' }).click();
    await page.getByRole('button', { name: 'Enable report' }).click();
    await page.getByRole('button', { name: 'Disable report' }).waitFor();
    await page.goto(`${base}ui/`);
    await page.getByRole('button', { name: 'Pause queue slow' }).click();
    await page.getByText('Queue slow is paused').waitFor();
    await page.getByRole('button', { name: 'Resume queue slow' }).click();
    await page.getByRole('button', { name: 'Pause queue slow' }).waitFor();
  });

  step(`a run is cancelled and done once more, ${how}`, async () => {
    const page = await on('ui/tasks/archive');
    await page.getByRole('button', { name: 'Run archive' }).click();
    await page.getByText('Not running yet:').waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.locator('h1 .mark.aborted').waitFor();
    const old = page.url();
    await page.getByRole('button', { name: 'Retry' }).click();
    await page.waitForURL((url) => url.href !== old && /[0-9a-f-]{36}/.test(url.href));
    await page.getByText('Retry of').waitFor();
  });

  step(`many runs are cancelled and retried, and it is said first how many, ${how}`, async () => {
    const page = await on('ui/runs');
    await page.getByLabel('Task').selectOption('archive');
    await page.getByRole('checkbox', { name: 'queued' }).check();
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.waitForURL(/task=archive.*state=queued/);
    await page.getByRole('link', { name: 'Cancel these…' }).click();
    const number = parseInt(await page.locator('#matching').innerText(), 10);
    assert(number > 0);
    await page.getByRole('button', { name: 'Cancel them' }).click();
    await page.getByText(new RegExp(`^${number} runs? (was|were) cancelled`)).waitFor();
    await page.goto(`${base}ui/runs/retry?task=archive`);
    const finished = parseInt(await page.locator('#matching').innerText(), 10);
    await page.getByRole('button', { name: 'Retry them' }).click();
    await page.getByText(new RegExp(`^${finished} runs? (was|were) enqueued once more`)).waitFor();
  });

  step(`a list goes on to older runs, ${how}`, async () => {
    const page = await on('ui/runs?task=resize');
    const first = await page.locator('.runs .id').first().innerText();
    await page.getByRole('link', { name: 'Older' }).click();
    await page.waitForURL(/before=/);
    assert.notEqual(await page.locator('.runs .id').first().innerText(), first);
    await page.getByRole('link', { name: 'Newest' }).waitFor();
  });

  step(`a log is searched and downloaded, ${how}`, async () => {
    const { runs } = await (await fetch(`${base}api/v1/runs?task=import-prices&limit=1&state=success`)).json();
    const page = await on(`ui/runs/${runs[0].id}`);
    await page.getByLabel('Search the whole log').fill('NO PRICE');
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByText(/lines? with “NO PRICE”/).waitFor();
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download' }).click();
    assert.match((await download).suggestedFilename(), /^run-.*\.log$/);
  });
}

step('a long log shows its end, and older lines when asked', async () => {
  const { runs } = await (await fetch(`${base}api/v1/runs?task=import-prices&limit=50&state=success`)).json();
  const page = await open({});
  await page.goto(`${base}ui/runs/${runs.at(-1).id}`);
  const lines = page.locator('#log > div');
  assert.equal(await lines.count(), 1000);
  await page.locator('#older').click();
  await page.waitForFunction(() => document.getElementById('log').childElementCount > 1000);
  assert.equal(await lines.first().getAttribute('data-position'), '1');
});

step('what changes is put in place, and nothing that one is doing is lost', async () => {
  const page = await open({});
  await page.goto(`${base}ui/tasks/import-prices`);
  await page.locator('[name="/rows"]').fill('100');
  await page.getByRole('button', { name: 'Run import-prices' }).click();
  await page.waitForURL(/\/ui\/runs\//);
  await live(page);
  await page.getByRole('button', { name: 'Cancel' }).focus();
  const box = page.locator('#log');
  await page.waitForFunction(() => document.getElementById('log').childElementCount > 30);
  assert(await box.evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight < 8), 'keeps to the end');
  await box.evaluate((log) => { log.scrollTop = 0; });
  const before = await box.locator('div').count();
  await page.waitForFunction((count) => document.getElementById('log').childElementCount > count, before);
  assert.equal(await box.evaluate((log) => log.scrollTop), 0, 'keeps its place');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'cancel');
  await page.locator('h1 .mark.success').waitFor();
  await page.waitForFunction(() => document.getElementById('log').lastElementChild.textContent.includes('row 100'));
});

step('there is one stream for a tab that is seen and none for one that is hidden', async () => {
  const page = await open({});
  let open_ = 0, most = 0;
  const streams = (request) => new URL(request.url()).pathname.endsWith('/ui/live');
  page.on('request', (request) => { if (streams(request)) most = Math.max(most, ++open_); });
  const over = (request) => { if (streams(request)) open_--; };
  page.on('requestfinished', over);
  page.on('requestfailed', over);
  await page.goto(`${base}ui/`);
  await live(page);
  const hide = (hidden) => page.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  const closed = page.waitForEvent('requestfailed', { predicate: streams });
  await hide(true);
  await closed;
  assert.equal(open_, 0);
  const again = page.waitForEvent('request', { predicate: streams });
  await hide(false);
  await again;
  assert.equal(most, 1);
});

step('the theme is switched and kept', async () => {
  const page = await open({ colorScheme: 'light' });
  await page.goto(`${base}ui/`);
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.locator('#theme').click();
  await page.locator('#theme').click();
  await page.reload();
  assert.notEqual(await ground(), light);
  assert.equal(await page.locator('#theme').innerText(), 'Theme: dark');
});

step('the keyboard alone leads to the content', async () => {
  const page = await open({});
  await page.goto(`${base}ui/runs`);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
});

let failed = 0;
const only = process.argv[3];
for (const [name, run] of steps.filter(([name]) => !only || name.includes(only))) {
  const begin = Date.now();
  faults.length = 0;
  let error;
  const deadline = new Promise((_, fail) => setTimeout(() => fail(new Error('took longer than 60 s')), 60000).unref());
  await Promise.race([run(), deadline]).catch((caught) => { error = caught; });
  await Promise.all(browser.contexts().map((context) => context.close()));
  const good = !error && faults.length === 0;
  console.log(`${good ? 'ok' : 'NOT OK'} ${name} (${Date.now() - begin} ms)`);
  if (error) console.log(error.stack);
  for (const fault of new Set(faults)) console.log(`  ${fault}`);
  if (!good) failed++;
}
await browser.close();
process.exit(failed ? 1 : 0);
