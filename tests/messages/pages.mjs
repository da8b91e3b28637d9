// Mails and cards in a real browser: what is seen, what breaks out, and whether anything is fetched. Reads a JSON file with
// {mails: [{name, html, words}], cards: [{name, card, words}], pictures: FOLDER, shown: [NAME…], browser: PROGRAM}, prints findings as
// [name, text] a line. What has no words is judged by its looks. Cards are rendered by Microsoft's renderer, with the settings of Teams as Microsoft's designer has them.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [, , tools, file] = process.argv;
const require = createRequire(join(tools, "package.json"));
const puppeteer = require("puppeteer-core");
const { mails, cards, pictures, shown, browser: program } = JSON.parse(readFileSync(file, "utf8"));
const read = (path) => readFileSync(join(tools, "node_modules", path), "utf8");
const say = (name, text) => console.log(JSON.stringify([name, text.toWellFormed()]));

const PHONE = 390;
const WIDE = 1000;
const THEMES = ["light", "dark"];

const isRoot = process.getuid?.() === 0;
const browser = await puppeteer.launch({
  executablePath: program,
  headless: program.endsWith("headless-shell") ? "shell" : true,
  // Its sandbox cannot be had by root; what it shows is ours and reaches nothing.
  args: isRoot ? ["--no-sandbox", "--disable-dev-shm-usage"] : ["--disable-dev-shm-usage"],
});

// A page on which nothing is fetched: what tries is a finding of the sample that is on it.
async function newPage() {
  const page = await browser.newPage();
  const state = { name: "" };
  await page.setRequestInterception(true);
  page.on("request", (request) => {
    if (/^(about|data):/.test(request.url())) return request.continue();
    say(state.name, `it fetches ${request.url().slice(0, 100)}`);
    return request.abort();
  });
  page.on("dialog", (dialog) => {
    say(state.name, "a script of it runs");
    return dialog.dismiss();
  });
  return { page, state };
}

async function dress(page, theme, width) {
  if (page.dressed === theme + width) return;
  page.dressed = theme + width;
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
  await page.setViewport({ width, height: 700 });
}

// What the page's own code needs: texts compared as they are seen, whose spaces are one, and in which a word joiner is nothing.
function helpers() {
  globalThis.seen = (text) => text.replaceAll("\u2060", "").replace(/\s+/gu, " ").trim();
  globalThis.isSaidBy = (shown, told) => {
    const [a, b] = [seen(shown), seen(told) || "-"];
    return a === b || a === seen(told) || (a.endsWith("…") && b.startsWith(a.slice(0, -1).trimEnd()));
  };
  // Both from a little before where they part.
  globalThis.parting = (told, shown) => {
    const [a, b] = [seen(told), seen(shown)];
    const at = Math.max(0, [...a].findIndex((c, n) => c !== [...b][n]) - 20);
    return `for ${[...a].slice(at, at + 60).join("")} it shows ${[...b].slice(at, at + 60).join("")}`;
  };
  globalThis.luminance = (colour) => {
    const [r, g, b] = colour.match(/[\d.]+/g).map((n) => (n / 255) ** 2.2);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  globalThis.overflow = (root) => {
    const width = document.documentElement.clientWidth;
    // Also what is cut off there. How wide a table of values is in a card is its renderer's affair.
    const beyond = [...root.querySelectorAll("*:not(.ac-factset, .ac-factset *)")].find((e) => Math.ceil(e.getBoundingClientRect().right) > width);
    return beyond ? [`at ${width} px a ${beyond.tagName} is ${Math.ceil(beyond.getBoundingClientRect().right)} px wide: ${beyond.textContent.slice(0, 60)}`] : [];
  };
}

// Of a mail: its elements, its link, its words, its width, its colours.
function wrongMail({ words, theme, isFirst }) {
  const found = overflow(document.body);
  const [ink] = [luminance(getComputedStyle(document.body).color)];
  if (theme === "dark" ? ink < 0.7 : ink > 0.3) found.push(`its text is not readable in the ${theme}`);
  if (!isFirst || !words) return found;
  const foreign = [...document.querySelectorAll("body *")].map((e) => e.tagName).filter((n) => !/^(H1|H2|P|TABLE|TBODY|TR|TH|TD|DIV|A|BDI|BR)$/.test(n));
  if (foreign.length) found.push(`it has elements that are not ours: ${foreign.slice(0, 5)}`);
  if (document.querySelector("head script, head style, head link, head base, head meta[http-equiv]")) found.push("its head loads something");
  const handlers = [...document.querySelectorAll("*")].flatMap((e) => [...e.attributes]).filter((a) => !/^(style|href|lang|charset|name|content)$/.test(a.name));
  if (handlers.length) found.push(`an attribute that is not ours: ${handlers[0].name}`);
  const links = [...document.querySelectorAll("a")].map((a) => a.getAttribute("href"));
  if (JSON.stringify(links) !== JSON.stringify(words.link ? [words.link] : [])) found.push(`its links are ${links}`);
  if (!isSaidBy(document.querySelector("h1").textContent, words.headline)) found.push("its headline is another");
  const rows = [...document.querySelectorAll("tr")].map((tr) => [...tr.children].map((cell) => cell.textContent));
  words.facts.slice(0, rows.length).forEach(([name, value], n) => {
    if (!isSaidBy(rows[n][0], name) || !isSaidBy(rows[n][1], value)) found.push(`${name} says ${rows[n][1].slice(0, 80)}`);
  });
  if (rows.length < Math.min(words.facts.length, 50)) found.push(`only ${rows.length} values are shown`);
  const paragraphs = [...document.querySelectorAll("p")];
  if (words.message.trim() && !isSaidBy(paragraphs[0].textContent, words.message)) found.push("its message is another");
  return found;
}

// Of a card: that the renderer takes it whole, shows its texts as they are, and adds nothing.
function wrongCard({ card, words, config, theme, isFirst }) {
  document.body.innerHTML = "";
  document.body.style.cssText = `margin: 12px; overflow-wrap: anywhere; background: ${theme === "dark" ? "#292929" : "#ffffff"}`;
  const adaptive = new AdaptiveCards.AdaptiveCard();
  adaptive.hostConfig = new AdaptiveCards.HostConfig(config);
  const context = new AdaptiveCards.SerializationContext();
  adaptive.parse(card, context);
  const found = Array.from({ length: context.eventCount }, (_, n) => `the renderer says: ${context.getEventAt(n).message}`);
  found.push(...adaptive.validateProperties().validationEvents.map((event) => `the renderer says: ${event.message}`));
  const root = adaptive.render();
  document.body.append(root);
  found.push(...overflow(root));
  if (!isFirst || !words) return found;
  const foreign = [...root.querySelectorAll("a, img, script, iframe, h1, h2, ul, ol, pre, code, em, strong, blockquote, hr")];
  if (foreign.length) found.push(`a ${foreign[0].tagName} in it: ${foreign[0].textContent.slice(0, 60)}`);
  const cells = [...root.querySelectorAll("td")].filter((cell) => cell.textContent);
  const set = card.body.find((element) => element.type === "FactSet");
  const facts = words.facts.slice(0, set.facts.length);
  const read = cells.map((cell) => cell.textContent);
  if (read.length !== 2 * facts.length) found.push(`${facts.length} values are shown in ${read.length} cells`);
  facts.forEach(([name, value], n) => {
    if (!isSaidBy(read[2 * n] ?? "", name) || !isSaidBy(read[2 * n + 1] ?? "", value)) found.push(parting(value, read[2 * n + 1] ?? ""));
  });
  // Each run of text, as the card has it.
  const runs = card.body.flatMap((element) => element.inlines ?? []).map((run) => run.text);
  const blocks = [...root.querySelectorAll(".ac-richTextBlock")].map((block) => block.textContent);
  runs.forEach((run, n) => {
    if (seen(run) !== seen(blocks[n] ?? "")) found.push(parting(run, blocks[n] ?? ""));
  });
  if (!isSaidBy(runs[0], words.headline) || !isSaidBy(runs[1], words.message)) found.push("its headline or its message is another");
  const buttons = [...root.querySelectorAll("button")].map((button) => button.textContent);
  if (JSON.stringify(buttons) !== JSON.stringify(words.link ? ["Open the alert"] : [])) found.push(`its buttons are ${buttons}`);
  return found;
}

async function judge(samples, prepare, look) {
  const { page, state } = await newPage();
  await prepare(page);
  // Colours do not depend on widths: by day at a desk, by night on a phone. Pictures are made of all four.
  let views = [["light", WIDE], ["dark", PHONE]];
  for (const sample of samples) {
    state.name = sample.name;
    const isShown = shown.includes(sample.name);
    let isFirst = true;
    for (const [theme, width] of isShown ? [...views, ["light", PHONE], ["dark", WIDE]] : views) {
      await dress(page, theme, width);
      for (const text of await look(page, sample, theme, isFirst)) say(sample.name, text);
      isFirst = false;
      if (isShown) {
        await page.screenshot({ path: join(pictures, `${sample.kind}-${sample.name}-${theme}-${width === WIDE ? "wide" : "phone"}.png`), fullPage: true });
      }
    }
    // The next one begins as this one ends, for a change of view takes time.
    if (!isShown) views = views.toReversed();
  }
  await page.close();
}

const inMail = async (page, { html, words }, theme, isFirst) => {
  if (isFirst) {
    await page.setContent(html, { waitUntil: "load" });
    await page.evaluate(helpers);
  }
  return page.evaluate(wrongMail, { words, theme, isFirst });
};

const configs = Object.fromEntries(THEMES.map((theme) => [theme, JSON.parse(read(`adaptivecards-designer/lib/hostConfigs/microsoft-teams-${theme}.json`))]));
const inCard = (page, { card, words }, theme, isFirst) => page.evaluate(wrongCard, { card, words, theme, isFirst, config: configs[theme] });
const prepareCards = async (page) => {
  await page.setContent("<!doctype html><meta name=viewport content='width=device-width'><body></body>");
  await page.evaluate(helpers);
  await page.addScriptTag({ content: read("adaptivecards/dist/adaptivecards.min.js") });
  await page.addScriptTag({ content: read("markdown-it/dist/browser/markdown-it.umd.min.js") });
  await page.addStyleTag({ content: read("adaptivecards/dist/adaptivecards.css") });
  await page.evaluate(() => {
    AdaptiveCards.AdaptiveCard.onProcessMarkdown = (text, result) => {
      result.outputHtml = globalThis.markdownit().render(text);
      result.didProcess = true;
    };
  });
};

await judge(mails, async () => {}, inMail);
await judge(cards, prepareCards, inCard);
await browser.close();
