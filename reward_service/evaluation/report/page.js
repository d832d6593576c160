"use strict";
// The list of studies: sorted, filtered, a hundred at a time. Texts are unpacked when a study is opened.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const perPage = 100;
  const body = document.querySelector("#studies tbody");
  const controls = [...document.querySelectorAll("[data-filter]")];
  const search = document.getElementById("search");
  const status = document.getElementById("status");
  const [back, on] = ["back", "on"].map((id) => document.getElementById(id));
  const heads = [...document.querySelectorAll("#studies th button")];
  let order = { key: "reward", up: true };
  let page = 0;
  let shown = [];
  const blocks = new Map();

  async function fragments(block) {
    if (!blocks.has(block)) {
      const packed = Uint8Array.from(atob(document.getElementById("block" + block).textContent), (c) => c.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      blocks.set(block, new Response(stream).json());
    }
    return blocks.get(block);
  }

  function matches(study) {
    if (search.value && !study.id.toLowerCase().includes(search.value.toLowerCase())) return false;
    return controls.every((c) => !c.value || study[c.dataset.filter].includes(c.value));
  }

  function compare(a, b) {
    const [x, y] = [a[order.key], b[order.key]];
    if (x === y) return 0;
    if (x === null || y === null) return x === null ? -1 : 1; // what has no number is worst, whichever way
    return (x < y ? -1 : 1) * (order.up ? 1 : -1);
  }

  function cell(row, name, text, wide) {
    const made = row.insertCell();
    made.dataset.name = name;
    made.textContent = text;
    if (wide) made.className = "wide";
    return made;
  }

  function draw() {
    body.replaceChildren();
    const from = page * perPage;
    for (const study of shown.slice(from, from + perPage)) {
      const row = body.insertRow();
      const first = row.insertCell();
      const button = document.createElement("button");
      button.textContent = study.id;
      button.setAttribute("aria-expanded", "false");
      button.addEventListener("click", () => toggle(study, row, button));
      first.append(button);
      for (const [key, name, digits] of data.columns) {
        cell(row, name, study[key] === null ? "null" : study[key].toFixed(digits));
      }
      const words = [...(study.reason ? [] : study.categories), ...study.flags, ...study.codes].join(", ").replaceAll("_", " ");
      cell(row, "notes", [study.reason, words].filter(Boolean).join(" "), true);
    }
    const last = Math.min(from + perPage, shown.length);
    status.textContent = shown.length ? `${from + 1} to ${last} of ${shown.length} studies` : "no study matches";
    back.disabled = page === 0;
    on.disabled = last >= shown.length;
    for (const head of heads) {
      head.parentElement.setAttribute("aria-sort", head.dataset.key !== order.key ? "none" : order.up ? "ascending" : "descending");
    }
  }

  function refresh() {
    page = 0;
    shown = data.studies.filter(matches).sort(compare);
    draw();
  }

  async function toggle(study, row, button) {
    if (button.getAttribute("aria-expanded") === "true") {
      row.nextElementSibling.remove();
      button.setAttribute("aria-expanded", "false");
      return;
    }
    button.setAttribute("aria-expanded", "true");
    const open = document.createElement("tr");
    open.className = "open";
    const content = open.insertCell();
    content.colSpan = row.cells.length;
    row.after(open);
    const block = Math.floor(study.at / data.perBlock);
    // Made and escaped by the viewer of pairs; nothing of a report is markup in it.
    content.innerHTML = (await fragments(block))[study.at % data.perBlock];
  }

  // Shows a study that is linked from elsewhere in the page, whatever the list is filtered by, and opens it.
  function reveal(id) {
    search.value = "";
    controls.forEach((c) => { c.value = ""; });
    refresh();
    const at = shown.findIndex((study) => study.id === id);
    if (at < 0) return;
    page = Math.floor(at / perPage);
    draw();
    const button = body.rows[at % perPage].querySelector("button");
    button.click();
    button.focus();
    button.scrollIntoView({ block: "start" });
  }

  search.addEventListener("input", refresh);
  controls.forEach((c) => c.addEventListener("change", refresh));
  heads.forEach((head) => head.addEventListener("click", () => {
    order = { key: head.dataset.key, up: head.dataset.key === order.key ? !order.up : true };
    refresh();
  }));
  document.querySelectorAll("[data-study]").forEach((link) => link.addEventListener("click", (event) => {
    event.preventDefault();
    reveal(link.dataset.study);
  }));
  back.addEventListener("click", () => { page -= 1; draw(); });
  on.addEventListener("click", () => { page += 1; draw(); });
  refresh();
})();
