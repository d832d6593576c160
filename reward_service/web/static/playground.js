// The playground: texts in, scores out. Report text goes into requests alone: never into the address, never into storage.
import { ServiceError, ask, byId, element, number, root, start, table, words } from "./common.js";
import * as copies from "./copies.js";
import { inWords, shown } from "./result.js";

const MOST = 8; // candidates at once
const PAUSE_MS = 400; // without a key pressed, then it is scored
let info;
let examples = [];
let last = null; // request and answer that are shown
let running = null;
let timer = 0;
const readings = new Map(); // mentions by text, of the texts that are shown
const documents = new Map(); // guards, weights and bounds by profile

// -- texts -----------------------------------------------------------------------------------------

function candidates() {
  return [...document.querySelectorAll("#candidates textarea")];
}

function addCandidate(text = "") {
  const area = element("textarea", { rows: 6, spellcheck: false, value: text });
  const label = element("label");
  const remove = element("button", { type: "button" }, "Remove");
  const part = element("div", { className: "one" }, element("div", { className: "head" }, label, remove), area);
  remove.addEventListener("click", () => {
    part.remove();
    name();
    byId("add").focus();
    edited();
  });
  area.addEventListener("input", edited);
  byId("candidates").append(part);
  name();
  return area;
}

function name() {
  const all = candidates();
  for (const [i, area] of all.entries()) {
    area.id = `candidate${i}`;
    const [label, remove] = area.previousElementSibling.children;
    label.htmlFor = area.id;
    label.textContent = all.length > 1 ? `Candidate ${i + 1}` : "Candidate";
    remove.ariaLabel = `Remove candidate ${i + 1}`;
    remove.hidden = all.length === 1;
  }
  byId("add").disabled = all.length >= MOST;
}

function fill(example) {
  byId("reference").value = example.reference;
  byId("prior").value = example.prior ?? "";
  byId("prior-part").open = Boolean(example.prior);
  byId("candidates").replaceChildren();
  for (const text of example.candidates ?? [example.candidate]) addCandidate(text);
}

function edited() {
  byId("example").value = ""; // the link must not claim that these texts are the example's
  address();
  if (byId("live").checked) {
    clearTimeout(timer);
    timer = setTimeout(score, PAUSE_MS);
  }
}

function address() {
  const query = new URLSearchParams({ profile: byId("profile").value });
  if (byId("example").value) query.set("example", byId("example").value);
  history.replaceState(null, "", `?${query}`);
}

// -- scoring ---------------------------------------------------------------------------------------

function request() {
  const prior = byId("prior").value ? { prior: byId("prior").value } : {};
  const items = candidates().map((area) => ({ candidate: area.value, reference: byId("reference").value, ...prior }));
  const step = byId("step-label").hidden ? {} : { step: Number(byId("step").value) };
  return { profile: byId("profile").value, items, ...step, detail: "full" };
}

async function score() {
  clearTimeout(timer);
  running?.abort(); // the service gives up what nobody awaits
  const mine = (running = new AbortController());
  byId("problem").textContent = "";
  byId("status").textContent = "Scoring …";
  const sent = request();
  try {
    const options = { method: "POST", body: JSON.stringify(sent), signal: mine.signal };
    const answer = await ask("/web/score", options);
    const described = await profileDocument(answer.stage?.profile ?? answer.profile, answer.profile);
    if (mine !== running) return;
    last = { sent, answer };
    show(answer, described);
  } catch (error) {
    if (error.name !== "AbortError") fail(error);
  }
}

function fail(error) {
  if (!(error instanceof ServiceError)) throw error;
  byId("status").textContent = "";
  if (error.status !== 401) byId("problem").textContent = error.message;
}

/** What the profile does with flags, and its weights. A stage that is not enabled by itself says neither. */
async function profileDocument(stage, profile) {
  if (!documents.has(stage)) {
    const about = info.profiles[profile];
    const part = about.stages?.find((one) => one.profile === stage) ?? about;
    const weights = Object.fromEntries(Object.entries(part.components).map(([key, one]) => [key, one.weight]));
    const whole = stage in info.profiles ? await ask(`/v1/fingerprint?profile=${encodeURIComponent(stage)}`) : {};
    const rules = Object.values(part.components).some((one) => one.component === "rules");
    documents.set(stage, { bounds: part.bounds, weights, rules, guards: whole.document?.guards ?? {} });
  }
  return documents.get(stage);
}

/** What the rules judge reads in a text; nothing where the service does not say. Asked for when it is pointed at. */
function mentions(text) {
  if (!readings.has(text)) {
    const options = { method: "POST", body: JSON.stringify({ text }) };
    const found = ask("/v1/read", options).then((read) => read.sentences.flatMap((sentence) => sentence.clauses.flatMap((clause) => clause.mentions)));
    readings.set(text, found.catch(() => []));
  }
  return readings.get(text);
}

function show(answer, described) {
  readings.clear();
  const sections = answer.results.map((result, i) => shown(result, i, { ...described, pair: answer.pairs[i], read: described.rules && ((side) => mentions(last.sent.items[i][side])) }));
  byId("results").replaceChildren(...sections);
  const stage = answer.stage ? `, stage ${answer.stage.profile}` : "";
  byId("status").textContent =
    `Scored with ${answer.profile}${stage} in ${answer.timing_ms.total.toFixed(0)} ms: ${answer.results.map((one) => number(one.reward)).join(", ")}`;
  byId("compare").hidden = answer.results.length < 2;
  for (const [id, chosen] of [["first", 0], ["second", 1]]) {
    const select = byId(id);
    const before = select.length === answer.results.length ? select.selectedIndex : chosen;
    select.replaceChildren(...answer.results.map((_, i) => element("option", { value: i }, `Candidate ${i + 1}`)));
    select.selectedIndex = before;
  }
  if (answer.results.length > 1) compare();
}

function compare() {
  const [a, b] = ["first", "second"].map((id) => last.answer.results[byId(id).selectedIndex]);
  const names = ["first", "second"].map((id) => byId(id).selectedOptions[0].textContent);
  const difference = (x, y) => (x === null || y === null || x === undefined || y === undefined ? "null" : (y - x > 0 ? "+" : "") + number(y - x));
  const keys = [...new Set([...Object.keys(a.contributions), ...Object.keys(b.contributions)])];
  const rows = keys.map((key) => [words(key), number(a.contributions[key]), number(b.contributions[key]), difference(a.contributions[key], b.contributions[key])]);
  rows.push(["reward", number(a.reward), number(b.reward), difference(a.reward, b.reward)]);
  const parts = [table("What moved", ["contribution", ...names, "difference"], rows)];
  for (const [mine, other, whose] of [[a, b, names[0]], [b, a, names[1]]]) {
    const extra = only(told(mine), told(other));
    if (extra.length) parts.push(element("h3", {}, `Only ${whose}`), element("ul", {}, ...extra.map((text) => element("li", {}, text))));
  }
  byId("moved").replaceChildren(...parts);
}

function told(result) {
  const evidence = result.judgement?.evidence ?? [];
  return [...evidence.filter((one) => one.kind !== "matched").map(inWords), ...result.flags.map((flag) => `flag ${words(flag)}`)];
}

/** What one list has more often than the other. */
function only(mine, other) {
  const left = [...other];
  return mine.filter((text) => {
    const at = left.indexOf(text);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

// -- around it -------------------------------------------------------------------------------------

async function copy(kind) {
  const url = location.origin + root;
  const text = kind === "link" ? location.href.split("#")[0] : copies[kind](url, request());
  byId("copied").hidden = false;
  byId("copied").querySelector("pre").textContent = text;
  try {
    await navigator.clipboard.writeText(text);
    byId("status").textContent = "Copied.";
  } catch {
    byId("copied").open = true; // without HTTPS a browser copies nothing by itself
    byId("status").textContent = "The browser does not let this page copy: the text is shown for you to copy.";
  }
}

function describe() {
  const about = info.profiles[byId("profile").value];
  byId("about").textContent = `${about.description} ${about.fingerprint}`;
  byId("step-label").hidden = !about.stages;
}

function choose(select, value) {
  if ([...select.options].some((option) => option.value === value)) select.value = value;
}

async function begin() {
  try {
    info = await ask("/info");
  } catch (error) {
    fail(error);
    return;
  }
  const wanted = new URLSearchParams(location.search);
  byId("profile").replaceChildren(...Object.keys(info.profiles).map((each) => element("option", { value: each }, each)));
  choose(byId("profile"), wanted.get("profile") ?? info.default_profile);
  describe();
  if (!examples.length) {
    const lines = await (await fetch(`${root}/web/examples.jsonl`)).text();
    examples = lines.trim().split("\n").map((line) => JSON.parse(line));
    byId("example").append(...examples.map((one) => element("option", { value: one.id }, one.id.replaceAll("-", " "))));
    choose(byId("example"), wanted.get("example") ?? "wrong-side-effusion");
    fill(examples.find((one) => one.id === byId("example").value) ?? { reference: "", candidate: "" });
  }
  address();
  if (byId("live").checked) await score();
}

byId("texts").addEventListener("submit", (event) => {
  event.preventDefault();
  score();
});
byId("add").addEventListener("click", () => addCandidate(candidates().at(-1)?.value).focus());
for (const id of ["reference", "prior"]) byId(id).addEventListener("input", edited);
byId("step").addEventListener("input", () => score());
byId("profile").addEventListener("change", () => {
  describe();
  address();
  score();
});
byId("example").addEventListener("change", () => {
  const example = examples.find((one) => one.id === byId("example").value);
  if (example) fill(example);
  address();
  score();
});
for (const id of ["first", "second"]) byId(id).addEventListener("change", compare);
for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(button.dataset.copy));
start(begin);
