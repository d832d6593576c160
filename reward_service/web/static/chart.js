// One chart: a line for each run over its steps, with bands of quantiles for the first. Colours are Okabe and Ito's.
// Below each lies a slider: what it points at is read out, and so is what the pointer is over.
import { drawn, element } from "./common.js";

const WIDTH = 420, HEIGHT = 200, LEFT = 48, BOTTOM = 24, TOP = 8, RIGHT = 12;
const DASHES = ["", "6 3", "2 3", "8 3 2 3"]; // so that lines differ without colour, too
const BIN = 0.02;
let at = null; // the step at which all charts are read; null: the last one of each

/** `series`: [{name, color, points: [[step, value, quantiles, steps]]}]; a value that is null breaks no line. */
export function chart(title, series, { share = false, digits = 3 } = {}) {
  const known = series.map((one) => ({ ...one, points: one.points.filter((point) => point[1] !== null && point[1] !== undefined) })).filter((one) => one.points.length);
  const figure = element("figure", {}, element("figcaption", {}, title));
  if (!known.length) return figure;
  const values = known.flatMap((one, i) => one.points.flatMap(([, value, bands]) => [value, ...(i === 0 ? bands ?? [] : [])]));
  const steps = [...new Set(known.flatMap((one) => one.points.map(([step]) => step)))].sort((a, b) => a - b);
  const told = known.map((one) => `${one.name} ${one.points.at(-1)[1].toFixed(digits)} at step ${one.points.at(-1)[0]}`);
  const svg = picture(`${title}: ${told.join("; ")}`);
  let [low, high] = share ? [0, Math.max(0.01, ...values)] : [Math.min(...values), Math.max(...values)];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const y = upright(svg, low, high);
  const x = level(svg, steps[0], steps.at(-1), "step", 1);
  const banded = known[0].points.filter(([, , bands]) => bands?.length === 5);
  for (const [lower, upper] of banded.length > 1 ? [[0, 4], [1, 3]] : []) {
    const edge = [...banded.map(([step, , q]) => [step, q[upper]]), ...banded.toReversed().map(([step, , q]) => [step, q[lower]])];
    svg.append(drawn("path", { class: `band run${known[0].color}`, d: path(edge, x, y) + "Z" }));
  }
  for (const { color, points } of known) {
    const style = { class: `line run${color}`, "stroke-dasharray": DASHES[color % DASHES.length] };
    if (points.length > 1) svg.append(drawn("path", { ...style, d: path(points, x, y) }));
    else svg.append(drawn("circle", { class: `dot run${color}`, cx: x(points[0][0]), cy: y(points[0][1]), r: 3 }));
  }
  figure.append(svg);
  if (banded.length > 1) figure.append(element("p", { className: "note" }, `Bands: the middle 90 % and 50 % of ${known[0].name}`));
  const tell = (step) => {
    const there = known.map((one) => [one.name, pointAt(one.points, step)]).filter(([, point]) => point);
    const joined = there.find(([, point]) => point[0] === step)?.[1][3];
    const when = joined && joined[0] !== joined[1] ? `Steps ${joined[0]} to ${joined[1]}` : `Step ${step}`;
    return `${when}: ${there.map(([name, point]) => `${name} ${point[1].toFixed(digits)}`).join("; ")}`;
  };
  readable(figure, svg, title, steps, x, tell, true);
  return figure;
}

/** Bars of the counts by the lower end of their bin, over `range` if that is given. */
export function histogram(title, bins, { range = [bins[0]?.[0], bins.at(-1)?.[0] + BIN], color = 0 } = {}) {
  const figure = element("figure", {}, element("figcaption", {}, title));
  if (!bins.length) return figure;
  const svg = picture(`${title}: ${bins.map(([value, count]) => `${count} from ${value.toFixed(2)}`).join(", ")}`);
  const y = upright(svg, 0, Math.max(...bins.map(([, count]) => count)), 1);
  const x = level(svg, ...range, "", BIN);
  for (const [value, count] of bins) {
    svg.append(drawn("rect", { class: `bar run${color}`, x: x(value), width: Math.max(1, x(value + BIN) - x(value) - 0.5), y: y(count), height: y(0) - y(count) }));
  }
  figure.append(svg);
  const counts = new Map(bins);
  const tell = (value) => `${value.toFixed(2)} to ${(value + BIN).toFixed(2)}: ${counts.get(value)} of ${bins.reduce((sum, [, count]) => sum + count, 0)}`;
  readable(figure, svg, title, bins.map(([value]) => value), (value) => x(value + BIN / 2), tell, false);
  return figure;
}

const picture = (label) => drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
const path = (points, x, y) => points.map(([step, value], i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
/** The run's point at that step, or the last before it; none beyond its ends. */
const pointAt = (points, step) => (step > points.at(-1)[0] ? undefined : points.findLast((point) => point[0] <= step));

/** At most `count` or so round numbers from `low` to `high`, and how many decimals they have. */
function ticks(low, high, count, least) {
  const rough = Math.max((high - low) / count, least);
  const power = 10 ** Math.floor(Math.log10(rough));
  const width = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / width - 1e-6); i * width <= high + width * 1e-6; i++) found.push(i * width);
  return { found, decimals: Math.max(0, Math.ceil(-Math.log10(width) - 1e-6)) };
}

/** The vertical axis. Where a value lies on it. */
function upright(svg, low, high, least = 0) {
  const y = (value) => HEIGHT - BOTTOM - ((value - low) / (high - low)) * (HEIGHT - BOTTOM - TOP);
  const { found, decimals } = ticks(low, high, 5, least);
  for (const value of found) {
    svg.append(drawn("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }));
    svg.append(drawn("text", { x: LEFT - 4, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(decimals)));
  }
  return y;
}

/** The horizontal axis. Where a value lies on it. */
function level(svg, first, last, name, least) {
  const x = (value) => LEFT + (last === first ? 0.5 : (value - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  svg.append(drawn("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }));
  if (name) svg.append(drawn("text", { x: LEFT - 10, y: HEIGHT - 6, "text-anchor": "end" }, name));
  const { found, decimals } = ticks(first, last, 5, least);
  for (const value of found) {
    svg.append(drawn("line", { class: "axis", x1: x(value), x2: x(value), y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4 }));
    const anchor = x(value) > WIDTH - 30 ? "end" : "middle";
    svg.append(drawn("text", { class: "tick", x: anchor === "end" ? WIDTH - 2 : x(value), y: HEIGHT - 6, "text-anchor": anchor }, value.toFixed(decimals)));
  }
  return x;
}

/** Reads `places` out, by pointer or slider. With `shared`, all charts of steps are read at the same one. */
function readable(figure, svg, title, places, x, tell, shared) {
  const mark = drawn("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM });
  const told = element("p", { className: "read" });
  const slider = element("input", { type: "range", min: 0, max: places.length - 1, step: 1, ariaLabel: `Read ${title}` });
  const show = (place) => {
    const i = place === null ? places.length - 1 : nearest(places, place);
    slider.value = i;
    slider.setAttribute("aria-valuetext", told.textContent = tell(places[i]));
    for (const end of ["x1", "x2"]) mark.setAttribute(end, x(places[i]));
  };
  const move = (i) => {
    if (!shared) return show(places[i]);
    at = i === places.length - 1 ? null : places[i];
    for (const other of document.querySelectorAll("figure")) other.read?.(at);
  };
  if (shared) figure.read = show;
  slider.addEventListener("input", () => move(Number(slider.value)));
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const over = ((event.clientX - box.left) / box.width) * WIDTH;
    move(nearest(places.map(x), over));
  });
  svg.append(mark);
  figure.append(told, slider);
  figure.dataset.title = title;
  show(shared ? at : null);
}

const nearest = (places, place) => places.reduce((best, one, i) => (Math.abs(one - place) < Math.abs(places[best] - place) ? i : best), 0);
