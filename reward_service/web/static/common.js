// What both pages need: elements made of text alone, requests with a key that lives in this variable and nowhere else.
export const root = document.documentElement.dataset.root;
let key = "";

export const byId = (id) => document.getElementById(id);

/** An element with text or children; nothing given here is ever read as markup. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [property, value] of Object.entries(properties)) {
    if (property in made) made[property] = value;
    else made.setAttribute(property, value);
  }
  made.append(...children);
  return made;
}

export function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

export const words = (name) => String(name).replaceAll("_", " ");
export const number = (value) => (value === null || value === undefined ? "null" : value.toFixed(3));

/** A table with its rows of texts; the first cell of a row is its head. */
export function table(caption, heads, rows) {
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map(([first, ...rest]) =>
    element("tr", {}, element("th", { scope: "row" }, first), ...rest.map((text) => element("td", {}, text))));
  const made = element("table", {}, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, ...body));
  return element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: caption }, made);
}

export class ServiceError extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
  }
}

/** The JSON answer. Throws `ServiceError`; a 401 also shows the form that asks for a key. */
export async function ask(path, options = {}) {
  const headers = { "content-type": "application/json" };
  if (key) headers.authorization = `Bearer ${key}`;
  let answer;
  try {
    answer = await fetch(root + path, { ...options, headers, credentials: "omit", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServiceError(0, { message: "The service cannot be reached." });
  }
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  if (answer.status === 401) askForKey();
  throw new ServiceError(answer.status, content.error ?? { message: `HTTP status ${answer.status}` });
}

function askForKey() {
  byId("key-problem").textContent = key ? "This key is not accepted." : "";
  key = "";
  byId("key-form").hidden = false;
  byId("key").focus();
}

/** Calls `begin` now, and again whenever a key has been given. */
export function start(begin) {
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = byId("key").value.trim();
    if (!/^[\x21-\x7e]+$/.test(given)) { // no browser sends another one
      byId("key-problem").textContent = "A key has no blanks, and only letters, digits and signs of ASCII.";
      return;
    }
    key = given;
    byId("key").value = "";
    byId("key-form").hidden = true;
    begin();
  });
  begin();
}
