// One chart: a line for each run over its steps, with bands of quantiles for the first. Colours are Okabe and Ito's.
import { drawn, element } from "./common.js";

const WIDTH = 420, HEIGHT = 200, LEFT = 48, BOTTOM = 24, TOP = 8, RIGHT = 8;
const DASHES = ["", "6 3", "2 3", "8 3 2 3"]; // so that lines differ without colour, too

/** `series`: [{name, points: [[step, value, quantiles]], kind}]; values may be null, which breaks the line. */
export function chart(title, series, { share = false, digits = 3 } = {}) {
  const known = series.map((one) => ({ ...one, points: one.points.filter((point) => point[1] !== null && point[1] !== undefined) })).filter((one) => one.points.length);
  const figure = element("figure", {}, element("figcaption", {}, title));
  if (!known.length) return figure;
  const values = known.flatMap((one, i) => one.points.flatMap(([, value, bands]) => [value, ...(i === 0 ? bands ?? [] : [])]));
  const steps = known.flatMap((one) => one.points.map(([step]) => step));
  let [low, high] = share ? [0, Math.max(0.01, ...values)] : [Math.min(...values), Math.max(...values)];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const [first, last] = [Math.min(...steps), Math.max(...steps)];
  const x = (step) => LEFT + (last === first ? 0.5 : (step - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((value - low) / (high - low)) * (HEIGHT - BOTTOM - TOP);
  const told = known.map((one) => `${one.name} ${one.points.at(-1)[1].toFixed(digits)} at step ${one.points.at(-1)[0]}`);
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${told.join("; ")}` });
  const banded = known[0].points.filter(([, , bands]) => bands?.length === 5);
  for (const [lower, upper] of [[0, 4], [1, 3]]) {
    if (banded.length > 1) {
      const edge = [...banded.map(([step, , q]) => [step, q[upper]]), ...banded.toReversed().map(([step, , q]) => [step, q[lower]])];
      svg.append(drawn("path", { class: "band", d: path(edge, x, y) + "Z" }));
    }
  }
  svg.append(drawn("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: y(low), y2: y(low) }));
  for (const [value, at] of [[low, y(low)], [high, y(high) + 8]]) svg.append(drawn("text", { x: LEFT - 4, y: at, "text-anchor": "end" }, short(value)));
  svg.append(drawn("text", { x: x(first), y: HEIGHT - 6, "text-anchor": last === first ? "middle" : "start" }, `step ${first}`));
  if (last !== first) svg.append(drawn("text", { x: x(last), y: HEIGHT - 6, "text-anchor": "end" }, String(last)));
  for (const [i, one] of known.entries()) {
    const style = { class: `line run${one.color ?? i}`, "stroke-dasharray": DASHES[(one.color ?? i) % DASHES.length] };
    if (one.points.length > 1) svg.append(drawn("path", { ...style, d: path(one.points, x, y) }));
    else svg.append(drawn("circle", { class: `dot run${one.color ?? i}`, cx: x(one.points[0][0]), cy: y(one.points[0][1]), r: 3 }));
  }
  figure.append(svg);
  return figure;
}

/** Bars of the counts by the lower end of their bin. */
export function histogram(title, bins) {
  const figure = element("figure", {}, element("figcaption", {}, title));
  if (!bins.length) return figure;
  const width = 0.02, [first, last] = [bins[0][0], bins.at(-1)[0] + width];
  const most = Math.max(...bins.map(([, count]) => count));
  const x = (value) => LEFT + ((value - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${bins.map(([at, count]) => `${count} from ${at.toFixed(2)}`).join(", ")}` });
  for (const [at, count] of bins) {
    const height = (count / most) * (HEIGHT - BOTTOM - TOP);
    svg.append(drawn("rect", { class: "plus", x: x(at), width: Math.max(1, x(at + width) - x(at) - 0.5), y: HEIGHT - BOTTOM - height, height }));
  }
  for (const [value, anchor] of [[first, "start"], [last, "end"]]) svg.append(drawn("text", { x: x(value), y: HEIGHT - 6, "text-anchor": anchor }, value.toFixed(2)));
  svg.append(drawn("text", { x: LEFT - 4, y: TOP + 8, "text-anchor": "end" }, String(most)));
  figure.append(svg);
  return figure;
}

const path = (points, x, y) => points.map(([step, value], i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
const short = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2));
