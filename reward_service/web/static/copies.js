// A request as text that can be run elsewhere.

/** For a POSIX shell; a quote inside of quotes has to leave them. */
export function curl(url, request) {
  const body = JSON.stringify(request).replaceAll("'", "'\\''");
  return `curl -s '${url}/score' -H 'content-type: application/json' -H "authorization: Bearer $REWARD_API_KEY" -d '${body}'`;
}

export function python(url, request) {
  const items = request.items.map((item) => {
    const fields = ["candidate", "reference", "prior"].filter((name) => item[name] !== undefined);
    return `    Item(${fields.map((name) => `${name}=${literal(item[name])}`).join(", ")}),`;
  });
  const step = request.step === undefined ? "" : `, step=${request.step}`;
  return [
    "import os",
    "",
    "from reward_client import Item, RewardClient",
    "",
    "items = [", ...items, "]",
    `with RewardClient(${literal(url)}, profile=${literal(request.profile)}, api_key=os.environ.get("REWARD_API_KEY")) as client:`,
    `    for result in client.score(items${step}):`,
    "        print(result.reward, result.status)",
  ].join("\n");
}

/** Lines for `reward-service score`. */
export const jsonl = (_, request) => request.items.map((item) => JSON.stringify(item)).join("\n");

/** A Python string: every escape that JSON.stringify makes is one of Python's too. */
const literal = (text) => JSON.stringify(text);
