// The runs: a list to choose from, alarms, and charts that are drawn again while a run goes on.
import { ServiceError, ask, byId, element, number, start, table, words } from "./common.js";
import { chart, histogram } from "./chart.js";

const MOST = 4; // runs beside one another
const EVERY_MS = 2000;
const SHARE = 20; // times as long as the last answers took it waits at least: watching a long run must not cost a trainer
const chosen = []; // ids of runs, in the order in which they were chosen
let known = [];
let fresh = true;
let timer = 0;
let drawn = ""; // what the charts show
let keeps = 0; // samples of each step
let alarms = ""; // those that are told
let asked = 0; // how often samples were asked for

function list(runs) {
  const ids = runs.map((run) => run.run_id);
  byId("choice").hidden = !runs.length;
  if (fresh && runs.length) {
    fresh = false;
    chosen.push(ids[0]);
  }
  for (const id of [...chosen]) if (!ids.includes(id)) chosen.splice(chosen.indexOf(id), 1);
  if (JSON.stringify(ids) !== JSON.stringify(known)) { // else the focus would be lost
    known = ids;
    byId("list").replaceChildren(...runs.map(entry));
  }
  for (const box of byId("list").querySelectorAll("input")) {
    box.checked = chosen.includes(box.value);
    box.disabled = !box.checked && chosen.length >= MOST;
    const run = runs.find((one) => one.run_id === box.value);
    const row = box.closest("div");
    row.querySelector(".note").textContent = `${many(run.steps, "step")}, last ${new Date(run.updated_at * 1000).toLocaleString()}`;
    row.querySelector(".key").setAttribute("class", `key run${chosen.indexOf(box.value)}`);
    const raised = run.alarms ?? [];
    row.querySelector(".mark").hidden = !raised.length;
    row.querySelector(".mark").textContent = many(raised.length, "alarm");
    row.querySelector(".worst").textContent = raised.length ? `${raised.length > 1 ? "The worst: " : ""}${raised[0].message}` : "";
  }
}

const many = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

/** How many alarms a run has, whether it is shown or not; the worst in words on hover and focus. A click shows it. */
function alarmed(run, place) {
  const worst = element("p", { className: "worst problem", id: `worst${place}`, role: "tooltip" });
  const mark = element("button", { type: "button", className: "mark", hidden: true });
  mark.setAttribute("aria-describedby", worst.id);
  mark.addEventListener("click", async () => {
    if (!chosen.includes(run.run_id)) chosen.splice(MOST - 1, MOST, run.run_id);
    await refresh();
    byId("alarms").focus(); // and out of the way goes the tooltip
  });
  return [mark, worst];
}

function entry(run, place) {
  const box = element("input", { type: "checkbox", value: run.run_id });
  box.addEventListener("change", () => {
    if (box.checked) chosen.push(run.run_id);
    else chosen.splice(chosen.indexOf(run.run_id), 1);
    refresh();
  });
  const remove = element("button", { type: "button", ariaLabel: `Delete ${run.run_id}` }, "Delete");
  remove.addEventListener("click", async () => {
    if (remove.textContent === "Delete") {
      remove.textContent = "Really delete?";
      return;
    }
    try {
      await ask(`/v1/runs/${encodeURIComponent(run.run_id)}`, { method: "DELETE" });
    } catch (error) {
      fail(error);
    }
    refresh();
  });
  const label = element("label", { className: "inline" }, box, element("span", { className: "key", ariaHidden: "true" }), ` ${run.run_id}`);
  const [mark, worst] = alarmed(run, place);
  return element("div", { className: "row" }, label, element("span", { className: "note" }), mark, element("span", { className: "fill" }), remove, worst);
}

function draw(runs) {
  const series = (value, bands = () => undefined) =>
    runs.map((run, color) => ({ name: run.run_id, color, points: run.points.map((point) => [point.step, value(point), bands(point), point.steps]) }));
  const named = (table) => [...new Set(runs.flatMap((run) => run.points.flatMap((point) => Object.keys(point[table]))))].sort();
  const parts = [
    chart("Reward, mean and quantiles", series((point) => point.reward.mean, (point) => point.reward.quantiles)),
    ...histograms(runs),
    ...named("components").map((key) => chart(words(key), series((point) => point.components[key]?.mean, (point) => point.components[key]?.quantiles))),
    ...named("flags").map((flag) => chart(`Flag ${words(flag)}, share`, series((point) => point.flags[flag] ?? 0), { share: true })),
    chart("Groups without advantage, share", series((point) => point.zero_advantage), { share: true }),
    chart("Spread within groups", series((point) => point.group_std), { share: true }),
    chart("Null rewards, share", series((point) => point.null), { share: true }),
    ...(runs.some((run) => run.points.some((point) => point.degraded)) ? [chart("Degraded rewards, share", series((point) => point.degraded), { share: true })] : []),
    chart("Length, characters", series((point) => point.characters), { digits: 0 }),
    chart("Latency, median in ms", series((point) => point.latency_ms.median), { share: true, digits: 1 }),
    ...named("shadows").flatMap((name) => [
      chart(`Shadow ${name} less paid`, series((point) => point.shadows[name]?.mean_difference)),
      chart(`Correlation with shadow ${name}`, series((point) => point.shadows[name]?.correlation)),
    ]),
  ];
  const focused = document.activeElement?.closest("#charts figure")?.dataset.title;
  byId("charts").replaceChildren(...parts.filter((figure) => figure.children.length > 1));
  if (focused) [...byId("charts").children].find((figure) => figure.dataset.title === focused)?.querySelector("input").focus();
  const state = JSON.stringify(runs.map((run) => [run.run_id, run.alarms, keeps]));
  if (state !== alarms) { // else the focus would be lost
    alarms = state;
    const raised = runs.flatMap((run, color) => run.alarms.map((alarm) => told(run, alarm, color)));
    byId("alarms").replaceChildren(...(raised.length ? [element("h2", {}, "Alarms"), element("ul", {}, ...raised)] : []));
  }
  const rows = runs.flatMap((run) => [[run.points.at(-1), (point) => String(point.step)], [run.without_step, () => "none named"]]
    .filter(([point]) => point)
    .map(([point, step]) => [run.run_id, step(point), String(point.items), number(point.reward.mean), `${Math.round(100 * point.degraded)} %`, Object.keys(point.profiles).join(", "), lacking(point)]));
  byId("about").replaceChildren(table("At the last step", ["run", "step", "candidates", "reward", "degraded", "profile", "missing"], rows));
}

const lacking = (point) => Object.entries(point.missing).map(([why, count]) => `${why} (${count})`).join(", ") || "nothing";

/** The rewards of each run's last step, all over the same range. */
function histograms(runs) {
  const lasts = runs.map((run) => run.points.at(-1)?.reward.histogram ?? []);
  const ends = lasts.flatMap((bins) => bins.map(([value]) => value));
  const range = [Math.min(...ends), Math.max(...ends) + 0.02];
  return lasts.map((bins, color) => histogram(`Rewards of ${runs[color].run_id} at step ${runs[color].points.at(-1)?.step}`, bins, { range, color }));
}

function told(run, alarm, color) {
  const key = element("span", { className: `key run${color}`, ariaHidden: "true" });
  const entry = element("li", {}, key, " ", element("strong", {}, run.run_id), ": ", element("span", { className: "problem" }, alarm.message));
  if (alarm.digest && keeps) {
    const find = element("button", { type: "button", ariaLabel: `Show it among the samples of ${run.run_id}` }, "Show it among the samples");
    find.addEventListener("click", () => {
      byId("samples-run").value = run.run_id;
      byId("samples-digest").value = alarm.digest;
      another();
      byId("samples").scrollIntoView();
    });
    entry.append(" ", find);
  }
  return entry;
}

/** Items of one step with their texts, where the operator has some kept. They change only when another is chosen. */
async function samples() {
  const [run, step, digest] = ["run", "step", "digest"].map((name) => byId(`samples-${name}`).value.trim());
  if (!run) return;
  const mine = ++asked;
  try {
    const found = await ask(`/web/samples?run_id=${encodeURIComponent(run)}${step && `&step=${step}`}${digest && `&candidate=${encodeURIComponent(digest)}`}`);
    if (mine !== asked) return; // another choice was made meanwhile
    byId("samples-step").replaceChildren(...found.steps.map((one) => element("option", { value: String(one), selected: one === found.step }, one < 0 ? "none named" : String(one))));
    byId("samples-status").textContent = "";
    byId("samples-list").replaceChildren(...found.samples.map((one, i) => {
      const section = element("section", { className: "candidate" }, element("h3", {}, `Sample ${i + 1}: reward ${number(one.result.reward)}${one.result.status === "degraded" ? " (degraded)" : ""}`));
      const anywhere = one.copies ? `; the same text for any study: ${one.copies}` : "";
      section.append(element("p", { className: "note" }, `${one.count} of the step's ${many(found.items, "candidate")} for this study${anywhere}. Digest ${one.candidate_digest}.`));
      if (one.result.flags.length) section.append(element("p", {}, `Flags: ${one.result.flags.map(words).join(", ")}`));
      const texts = element("div");
      texts.innerHTML = one.html; // made and escaped by the viewer of pairs; nothing of a report is markup in it
      section.append(texts);
      return section;
    }));
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    if (mine !== asked) return;
    byId("samples-status").textContent = error.message;
    byId("samples-list").replaceChildren();
  }
}

function offerSamples(kept) {
  keeps = kept;
  byId("samples").hidden = !kept || !chosen.length;
  const shown = [...byId("samples-run").options].map((option) => option.value);
  if (!kept || JSON.stringify(shown) === JSON.stringify(chosen)) return;
  byId("samples-run").replaceChildren(...chosen.map((id) => element("option", { value: id }, id)));
  another();
}

function another() {
  byId("samples-step").replaceChildren();
  samples();
}

function fail(error) {
  if (!(error instanceof ServiceError)) throw error;
  if (error.status !== 401) byId("problem").textContent = error.message;
}

async function refresh() {
  clearTimeout(timer);
  const began = performance.now();
  try {
    const { runs, texts_kept: kept } = await ask("/v1/runs");
    list(runs);
    offerSamples(kept);
    const state = JSON.stringify(chosen.map((id) => [id, runs.find((run) => run.run_id === id).updated_at]));
    const held = byId("charts").querySelector("input:active"); // a slider that is drawn anew slips from under the pointer
    const details = held || state === drawn ? [] : await Promise.all(chosen.map((id) => ask(`/v1/runs/${encodeURIComponent(id)}?points=200`)));
    byId("problem").textContent = "";
    byId("status").textContent = runs.length ? "" : "No run yet: requests with a run_id appear here.";
    if (details.length) draw(details);
    if (!held) drawn = state;
    if (!chosen.length) alarms = "";
    if (!chosen.length) for (const id of ["charts", "alarms", "about"]) byId(id).replaceChildren();
  } catch (error) {
    fail(error);
    if (error.status === 401) return; // until a key is given
  }
  clearTimeout(timer);
  timer = setTimeout(refresh, Math.max(EVERY_MS, SHARE * (performance.now() - began)));
}

byId("samples-run").addEventListener("change", another);
byId("samples-step").addEventListener("change", samples);
byId("samples-digest").addEventListener("change", another);
start(refresh);
