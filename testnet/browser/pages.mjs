// Pages in a real browser, against a running network:
//   node pages.mjs http://127.0.0.1:PORT ASSETS_ID CANDID_UI_ID COUNTER_ID SCREENSHOT_DIR
//
// One line per page; exit code 1 when any of them did not hold. Chromium: CHROMIUM, else /usr/bin/chromium.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [node, assets, candidUi, counter, shots] = process.argv.slice(2);
const port = new URL(node).port;
const site = (canister) => `http://${canister}.localhost:${port}`;
const PATIENCE_MS = 20_000;
mkdirSync(shots, { recursive: true });

const profile = mkdtempSync(join(tmpdir(), 'mains-browser-'));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  viewport: { width: 1280, height: 800 },
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
  ],
});
browser.setDefaultTimeout(PATIENCE_MS);
// Nothing here may depend on a server elsewhere.
await browser.route((url) => !/(^|\.)localhost$|^127\.0\.0\.1$/.test(url.hostname), (route) => route.abort());
let failures = 0;

/** Runs one case on a page of its own, keeps a picture, prints a line. */
async function holds(name, run) {
  const page = await browser.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  const started = Date.now();
  try {
    const said = await run(page);
    assert.deepEqual(complaints, [], 'errors of the page');
    console.log(`ok    ${name}: ${said} (${Date.now() - started} ms)`);
  } catch (error) {
    failures += 1;
    console.log(`FAIL  ${name}: ${String(error?.message ?? error).split('\n').slice(0, 6).join(' | ')}`);
  }
  await page.screenshot({ path: join(shots, `${name.replaceAll(' ', '-')}.png`) });
  await page.close();
}

await holds('a certified site', async (page) => {
  const response = await page.goto(`${site(assets)}/`);
  assert.equal(response.status(), 200);
  assert.equal(response.headers()['content-encoding'], 'gzip');
  await page.waitForSelector('body[data-done=yes]');
  const cells = await page.locator('td').allTextContents();
  assert.equal(cells.length, 4);
  for (const cell of cells) assert.match(cell, / · ok$/);
  // The style came, too.
  assert.equal(await page.locator('table').evaluate((table) => getComputedStyle(table).borderCollapse), 'collapse');
  return cells.map((cell) => cell.replace(' · ok', '')).join(', ');
});

await holds('a certified 404 and a redirect', async (page) => {
  const missing = await page.goto(`${site(assets)}/missing/page`);
  assert.equal(missing.status(), 404);
  assert.equal(await page.locator('h1').textContent(), 'Nothing here');
  const moved = await page.goto(`${site(assets)}/home`);
  assert.equal(new URL(moved.url()).pathname, '/');
  await page.waitForSelector('body[data-done=yes]');
  return 'both as certified';
});

await holds('an unverified answer', async (page) => {
  const refused = await page.goto(`${site(assets)}/uncertified.txt`);
  assert.equal(refused.status(), 502);
  assert.equal(await page.title(), 'MAINS-1408');
  const raw = await page.request.get(`http://127.0.0.1:${port}/uncertified.txt`, {
    headers: { host: `${assets}.raw.localhost:${port}` },
  });
  assert.equal(await raw.text(), 'one replica says so\n');
  await page.goto(`${site(assets)}/uncertified.txt`);
  return 'refused, and shown on the raw host';
});

await holds('the Candid UI of icp', async (page) => {
  await page.goto(`${site(candidUi)}/?id=${counter}`);
  const method = (name) => page.locator('#methods > li, #methods li.method, #methods > *').filter({ has: page.locator('.signature', { hasText: new RegExp(`^${name}:`) }) }).first();
  await page.waitForSelector('#methods .signature');
  const query = method('get');
  await query.locator('button', { hasText: /^Query$/ }).click();
  await query.locator('.text-result', { hasText: /\(\d/ }).waitFor();
  const before = await query.locator('.text-result').textContent();
  const update = method('inc');
  await update.locator('button', { hasText: /^Call$/ }).click();
  await update.locator('.text-result', { hasText: /\(\d/ }).waitFor();
  const after = await update.locator('.text-result').textContent();
  const value = (text) => Number(/\((\d+)/.exec(text.replaceAll('_', ''))[1]);
  assert.equal(value(after), value(before) + 1);
  await update.scrollIntoViewIfNeeded();
  return `get ${before.trim()}, inc ${after.trim()}`;
});

await holds('a site by parameter', async (page) => {
  // Only the first page: files below it have absolute addresses.
  const response = await page.goto(`${node}/?canisterId=${assets}`);
  assert.equal(response.status(), 200);
  assert.equal(await page.locator('h1').textContent(), 'A certified site');
  return 'the page itself';
});

await holds('the status page', async (page) => {
  await page.goto(`${node}/`);
  await page.waitForFunction(() => Number(document.getElementById('height').textContent.replaceAll(',', '')) > 0);
  await page.locator('#health.good').waitFor();
  await page.locator(`tr[data-id="${counter}"]`).click();
  await page.locator('#bill .sum.total').waitFor();
  assert.equal(await page.locator('.replica.up').count(), 4);
  return `${await page.locator('#count').textContent()}, height ${await page.locator('#height').textContent()}`;
});

await holds('the status page on a phone', async (page) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`${node}/`);
  await page.locator('#health.good').waitFor();
  await page.waitForSelector('tr[data-id]');
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${overflow} pixels too wide`);
  return 'nothing sticks out';
});

await holds('a canister that is not there', async (page) => {
  const response = await page.goto(`${site('aaaaa-aa')}/`);
  assert.equal(response.status(), 404);
  return await page.title();
});

await browser.close();
rmSync(profile, { recursive: true, force: true });
process.exit(failures === 0 ? 0 : 1);
