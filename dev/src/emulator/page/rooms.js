/** The list of rooms, read anew each second. Everything foreign goes in as text, never as HTML. */
const POLL_MS = 1000;

function element(tag, content, className = "") {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  made.append(...[content].flat());
  return made;
}

function roomRow(room) {
  const link = element("a", room.id);
  const query = new URLSearchParams({ sdkappid: room.sdkAppId, kind: room.kind });
  link.href = `/rooms/${encodeURIComponent(room.id)}/watch?${query.toString()}`;
  const online = room.users.filter((user) => user.online).map((user) => user.userId);
  const gone = room.users.filter((user) => !user.online).map((user) => user.userId);
  const row = document.createElement("tr");
  row.append(
    element("td", link),
    element("td", room.kind === "number" ? "integer" : "string"),
    element("td", String(room.sdkAppId)),
    element("td", online.length === 0 ? element("span", "nobody", "quiet") : online.join(", ")),
    element("td", gone.length === 0 ? "–" : gone.join(", "), "quiet"),
  );
  return row;
}

function table(headings, rows) {
  const head = element(
    "thead",
    element(
      "tr",
      headings.map((heading) => element("th", heading)),
    ),
  );
  return element("table", [head, element("tbody", rows)]);
}

function show(report) {
  document
    .querySelector("#rooms")
    .replaceChildren(
      report.rooms.length === 0
        ? element("p", "No room yet. One appears when somebody publishes.", "empty")
        : table(["Room", "Kind", "SdkAppId", "Publishing", "Left"], report.rooms.map(roomRow)),
    );
  const newest = report.refusals.slice(-10).toReversed();
  const rows = newest.map((refusal) =>
    element("tr", [
      element("td", new Date(refusal.atMs).toLocaleTimeString(), "quiet time"),
      element("td", refusal.code),
      element("td", refusal.description),
    ]),
  );
  const heading = element("h2", "Turned away");
  document
    .querySelector("#refusals")
    .replaceChildren(...(rows.length === 0 ? [] : [heading, table(["Time", "Status", "Why"], rows)]));
}

async function poll() {
  try {
    const response = await fetch("/rooms");
    show(await response.json());
  } catch {
    document
      .querySelector("#rooms")
      .replaceChildren(element("p", "The emulator does not answer. Is it still running?", "empty"));
  }
  setTimeout(() => void poll(), POLL_MS);
}

await poll();
