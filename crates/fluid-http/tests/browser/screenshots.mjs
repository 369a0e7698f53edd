// Every page, light and dark, on a desktop and on a phone: node screenshots.mjs URL FOLDER
import { pages, start, WIDTHS } from './browser.mjs';

const [base, folder] = process.argv.slice(2);
const browser = await start();
for (const colorScheme of ['light', 'dark']) {
  for (const [width, viewport] of Object.entries(WIDTHS)) {
    const page = await browser.newPage({ viewport, colorScheme });
    for (const [name, path] of await pages(base)) {
      await page.goto(base + path, { waitUntil: 'load' });
      await page.waitForFunction(() => !document.body.dataset.news || document.getElementById('link').textContent === 'live');
      await page.screenshot({ path: `${folder}/${name}-${width}-${colorScheme}.png`, fullPage: width === 'phone' });
    }
    await page.close();
  }
}
await browser.close();
