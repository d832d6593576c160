// One scored candidate: reward, contributions, components, flags with their price, and both texts with their errors.
import { element, number, table, words } from "./common.js";
import { waterfall } from "./waterfall.js";

/** The section of candidate `i`. `guards`: what the profile does when a flag is raised, by flag. */
export function shown(result, i, { bounds, guards, weights, pair, read }) {
  const section = element("section", { className: "candidate", id: `result${i}` });
  section.append(element("h2", {}, `Candidate ${i + 1}`));
  const state = result.status === "ok" ? "" : ` ${result.status}`;
  section.append(element("p", { className: `reward${state}` }, `reward ${number(result.reward)}${state && result.status !== "null" ? ` (${result.status})` : ""}`));
  section.append(element("p", {}, reason(result)));
  const missing = Object.entries(result.missing).map(([key, why]) => element("li", {}, `No ${words(key)}: ${why.message} (${why.code})`));
  if (missing.length) section.append(element("ul", { className: "problem" }, ...missing));
  if (result.flags.length) {
    const flags = result.flags.map((flag) => element("li", {}, `${words(flag)}: ${price(flag, guards)}`));
    section.append(element("h3", {}, "Flags"), element("ul", {}, ...flags));
  }
  // Made and escaped by the viewer of pairs; nothing of a report is markup in it.
  const texts = element("div");
  texts.innerHTML = pair;
  for (const box of texts.querySelectorAll(".rv-missing, .rv-reason")) box.remove(); // said above
  const note = element("p", { className: "note", role: "status" });
  link(texts, (at) => about(at, result, read, note));
  section.append(element("h3", {}, "Texts"), texts, note);
  if (result.reward !== null) {
    section.append(element("figure", {}, element("figcaption", {}, "From the lower bound to the reward"), waterfall(result.contributions, result.reward, bounds)));
  }
  const rows = Object.entries(result.components).map(([key, value]) =>
    [words(key), number(value), weights[key] === undefined ? "" : String(weights[key]), number(result.contributions[key])]);
  section.append(table(`Components of candidate ${i + 1}`, ["component", "value", "weight", "contribution"], rows));
  return section;
}

/** In a sentence, what the judge holds against the candidate. */
export function reason(result) {
  if (result.reward === null) return "There is no reward, and no number stands in for it.";
  if (!result.judgement) return "This profile has no judge that could give a reason.";
  return result.reason;
}

/** An error or a deduction without its place in the texts, so that equal errors of two candidates are equal. */
export function inWords(one) {
  const detail = one.detail ? ` (${one.detail})` : "";
  const side = one.side ? `${one.side} ` : "";
  const significance = one.significant || one.kind === "deduction" ? "" : "insignificant ";
  return `${significance}${words(one.kind)}: ${side}${words(one.finding)}${detail}`;
}

function price(flag, guards) {
  const action = guards[flag];
  if (flag.startsWith("capped:")) return "the component counts no more than the one that caps it";
  if (flag.startsWith("substituted:")) return "another component stands in for it";
  if (action?.floor) return "the reward is the lower bound";
  if (action?.multiplier !== undefined) return `what lies above the lower bound is multiplied by ${action.multiplier}`;
  return "costs nothing by itself";
}

/** The same finding is marked in both texts and in the list while the pointer or the focus is on one of them. */
function link(texts, tell) {
  const set = (on) => (event) => {
    const item = event.target.closest("li[id]");
    const target = item ? `#${item.id}` : event.target.closest("mark a")?.getAttribute("href");
    if (!target) return;
    for (const mark of [...texts.querySelectorAll(`a[href="${target}"]`), texts.querySelector(target)]) mark?.classList.toggle("rv-on", on);
    if (on) tell(Number(target.split("-e")[1]));
  };
  for (const name of ["mouseover", "focusin"]) texts.addEventListener(name, set(true));
  for (const name of ["mouseout", "focusout"]) texts.addEventListener(name, set(false));
}

/** Into `note`: the finding at that place of the evidence, and what made the judge read it so in either text. */
async function about(at, result, read, note) {
  const one = result.judgement?.evidence[at];
  if (!one || note.dataset.at === String(at)) return;
  note.dataset.at = at;
  const parts = [inWords(one) + (one.cost ? `, costs ${number(one.cost)}` : "")];
  for (const side of ["candidate", "reference"]) {
    const mentions = one[side] && read ? await read(side) : [];
    const found = mentions.find((each) => each.start < one[side][1] && one[side][0] < each.end);
    const because = (found?.because ?? []).map((why) => `${words(why.field)} ${words(why.value)} by ${why.by}`);
    if (because.length) parts.push(`in the ${side}, ${because.join(", ")}`);
  }
  if (note.dataset.at === String(at)) note.textContent = parts.join("; ") + ".";
}
