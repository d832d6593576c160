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
    box.closest("div").querySelector(".note").textContent = `${run.steps} steps, last ${new Date(run.updated_at * 1000).toLocaleString()}`;
    box.closest("div").querySelector(".key").setAttribute("class", `key run${chosen.indexOf(box.value)}`);
  }
}

function entry(run) {
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
  return element("div", { className: "row" }, label, element("span", { className: "note" }), element("span", { className: "fill" }), remove);
}

function draw(runs) {
  const series = (value, bands = () => undefined) =>
    runs.map((run) => ({ name: run.run_id, points: run.points.map((point) => [point.step, value(point), bands(point)]) }));
  const named = (table) => [...new Set(runs.flatMap((run) => run.points.flatMap((point) => Object.keys(point[table]))))].sort();
  const parts = [
    chart("Reward, mean and quantiles", series((point) => point.reward.mean, (point) => point.reward.quantiles)),
    ...runs.map((run) => histogram(`Rewards of ${run.run_id} at step ${run.points.at(-1).step}`, run.points.at(-1).reward.histogram)),
    ...named("components").map((key) => chart(words(key), series((point) => point.components[key]?.mean, (point) => point.components[key]?.quantiles))),
    ...named("flags").map((flag) => chart(`Flag ${words(flag)}, share`, series((point) => point.flags[flag] ?? 0), { share: true })),
    chart("Groups without advantage, share", series((point) => point.zero_advantage), { share: true }),
    chart("Spread within groups", series((point) => point.group_std), { share: true }),
    chart("Null rewards, share", series((point) => point.null), { share: true }),
    chart("Length, characters", series((point) => point.characters), { digits: 0 }),
    chart("Latency, median in ms", series((point) => point.latency_ms.median), { share: true, digits: 1 }),
    ...named("shadows").flatMap((name) => [
      chart(`Shadow ${name} less paid`, series((point) => point.shadows[name]?.mean_difference)),
      chart(`Correlation with shadow ${name}`, series((point) => point.shadows[name]?.correlation)),
    ]),
  ];
  byId("charts").replaceChildren(...parts.filter((figure) => figure.children.length > 1));
  const raised = runs.flatMap((run) => run.alarms.map((alarm) => element("li", {}, `${run.run_id}: ${alarm.message}`)));
  byId("alarms").replaceChildren(...(raised.length ? [element("h2", {}, "Alarms"), element("ul", { className: "problem" }, ...raised)] : []));
  const rows = runs.map((run) => {
    const last = run.points.at(-1);
    const missing = Object.entries(last.missing).map(([why, count]) => `${why} (${count})`).join(", ");
    return [run.run_id, String(last.step), String(last.items), Object.keys(last.profiles).join(", "), missing || "nothing"];
  });
  byId("about").replaceChildren(table("At the last step", ["run", "step", "candidates", "profile", "missing"], rows));
}

/** Items of one step with their texts, where the operator has some kept. They change only when another is chosen. */
async function samples() {
  const [run, step] = [byId("samples-run").value, byId("samples-step").value];
  if (!run) return;
  try {
    const found = await ask(`/web/samples?run_id=${encodeURIComponent(run)}${step && `&step=${step}`}`);
    byId("samples-step").replaceChildren(...found.steps.map((one) => element("option", { value: String(one), selected: one === found.step }, String(one))));
    byId("samples-status").textContent = "";
    byId("samples-list").replaceChildren(...found.samples.map((one, i) => {
      const section = element("section", { className: "candidate" }, element("h3", {}, `Sample ${i + 1}: reward ${number(one.result.reward)}`));
      if (one.result.flags.length) section.append(element("p", {}, `Flags: ${one.result.flags.map(words).join(", ")}`));
      const texts = element("div");
      texts.innerHTML = one.html; // made and escaped by the viewer of pairs; nothing of a report is markup in it
      section.append(texts);
      return section;
    }));
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    byId("samples-status").textContent = error.status === 404 ? "No samples of this run." : error.message;
    byId("samples-list").replaceChildren();
  }
}

function offerSamples(kept) {
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
    const details = state === drawn ? [] : await Promise.all(chosen.map((id) => ask(`/v1/runs/${encodeURIComponent(id)}?points=200`)));
    byId("problem").textContent = "";
    byId("status").textContent = runs.length ? "" : "No run yet: requests with a run_id appear here.";
    if (details.length) draw(details);
    drawn = state;
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
start(refresh);
