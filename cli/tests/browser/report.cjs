// Opens reports in a browser, from disk, and says as JSON what it met there.
// node report.cjs BROWSER FILE… with playwright-core and axe-core on NODE_PATH.

const { chromium } = require("playwright-core");
const axe = require("axe-core");
const path = require("node:path");
const { pathToFileURL } = require("node:url");

const KEYS_MAX = 3000;

async function look(browser, file, colorScheme) {
  // Once without scripts, as a reader may have it; what axe needs is put into the page from outside.
  const context = await browser.newContext({ colorScheme });
  const page = await context.newPage();
  const told = { file: path.basename(file), colorScheme, requests: [], messages: [], dialogs: 0 };
  page.on("request", (request) => told.requests.push(request.url()));
  page.on("console", (message) => told.messages.push(message.text()));
  page.on("pageerror", (error) => told.messages.push(String(error)));
  page.on("dialog", (dialog) => { told.dialogs += 1; dialog.dismiss(); });
  await page.goto(pathToFileURL(path.resolve(file)).href);
  told.requests = told.requests.slice(1);

  // By keyboard alone: every way and every fold is reached, in the order of the page.
  const controls = "a[href], summary, [tabindex='0']";
  told.controls = await page.locator(controls).evaluateAll((all) =>
    all.filter((one) => one.checkVisibility({ contentVisibilityAuto: true })).length);
  const seen = await page.evaluateHandle(() => new Set());
  for (let presses = 0; presses < KEYS_MAX; presses += 1) {
    await page.keyboard.press("Tab");
    const more = await page.evaluate((seen) => {
      const at = document.activeElement;
      if (at === document.body || seen.has(at)) return false;
      const ring = getComputedStyle(at);
      if (ring.outlineStyle === "none" || parseFloat(ring.outlineWidth) < 2) throw new Error("no focus on " + at.outerHTML);
      seen.add(at);
      return true;
    }, seen);
    if (!more) break;
  }
  told.reached = await seen.evaluate((seen) => seen.size);
  const fold = page.locator("details:not([open]) > summary").first();
  told.unfolds = null;
  if (await fold.count()) {
    const one = await fold.elementHandle();
    await one.focus();
    await page.keyboard.press("Enter");
    told.unfolds = await one.evaluate((summary) => summary.parentElement.open);
  }

  // Printed, findings stand whole though they are folded.
  await page.locator("details").evaluateAll((all) => all.forEach((one) => { one.open = false; }));
  await page.emulateMedia({ media: "print", colorScheme });
  told.hiddenInPrint = await page.locator("details.found > p").evaluateAll((all) =>
    all.filter((one) => one.getBoundingClientRect().height === 0 || !one.checkVisibility()).length);
  told.pdf = (await page.pdf()).length;
  await page.emulateMedia({ media: "screen", colorScheme });

  await page.locator("details").evaluateAll((all) => all.forEach((one) => { one.open = true; }));
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations", "incomplete"] }));
  const named = (rules) => rules.map((rule) => `${rule.id}: ${rule.nodes.length}, ${rule.nodes[0].html}`);
  told.violations = named(found.violations);
  told.incomplete = named(found.incomplete);
  told.passes = found.passes.map((rule) => rule.id);
  told.elements = await page.evaluate(() => [...new Set([...document.querySelectorAll("*")].map((one) => one.localName))]);
  told.attributes = await page.evaluate(() =>
    [...new Set([...document.querySelectorAll("*")].flatMap((one) => one.getAttributeNames()))]);
  await page.setViewportSize({ width: 360, height: 800 });
  told.overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  await context.close();
  return told;
}

(async () => {
  const [executablePath, ...files] = process.argv.slice(2);
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const told = [];
  for (const file of files) {
    for (const colorScheme of ["light", "dark"]) told.push(await look(browser, file, colorScheme));
  }
  await browser.close();
  console.log(JSON.stringify(told));
})().catch((error) => { console.error(error); process.exit(1); });
