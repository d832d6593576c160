// The bar of contributions: each step begins where the one before ended, and the last one is the reward.
import { drawn, number, words } from "./common.js";

const WIDTH = 640, LABEL = 130, VALUE = 64, ROW = 22;

/** SVG of the contributions of one result, on an axis from the profile's lower to its upper bound. */
export function waterfall(contributions, reward, [low, high]) {
  const steps = [];
  let sum = 0;
  for (const [key, value] of Object.entries(contributions)) {
    steps.push({ label: words(key), from: sum, to: sum + value, value, kind: value < 0 ? "minus" : "plus" });
    sum += value;
  }
  steps.push({ label: "reward", from: low, to: reward, value: reward, kind: "total" });
  const least = Math.min(low, ...steps.map((step) => Math.min(step.from, step.to)));
  const most = Math.max(high, ...steps.map((step) => Math.max(step.from, step.to)));
  const x = (value) => LABEL + ((value - least) / (most - least)) * (WIDTH - LABEL - VALUE);
  const height = steps.length * ROW + 24;
  const described = steps.map((step) => `${step.label} ${number(step.value)}`).join(", ");
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": `Contributions: ${described}`, class: "waterfall" });
  for (const [i, step] of steps.entries()) {
    const y = i * ROW;
    const [from, to] = [x(Math.min(step.from, step.to)), x(Math.max(step.from, step.to))];
    svg.append(
      drawn("text", { x: LABEL - 8, y: y + 15, "text-anchor": "end" }, step.label),
      drawn("rect", { x: from, y: y + 3, width: Math.max(1, to - from), height: ROW - 6, class: step.kind }),
      drawn("text", { x: WIDTH - VALUE + 6, y: y + 15 }, (step.value > 0 && step.kind !== "total" ? "+" : "") + number(step.value)),
    );
  }
  const bottom = steps.length * ROW + 2;
  for (const [value, style] of [[low, "axis"], [0, "zero"], [high, "axis"]]) {
    svg.append(drawn("line", { x1: x(value), x2: x(value), y1: 0, y2: bottom, class: style }));
    if (value !== 0 || (low !== 0 && high !== 0)) {
      svg.append(drawn("text", { x: x(value), y: bottom + 16, "text-anchor": "middle" }, String(value)));
    }
  }
  return svg;
}
