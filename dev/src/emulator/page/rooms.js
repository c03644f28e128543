import { byId, element } from "./element.js";

/** The list of rooms, read anew each second. */
const POLL_MS = 1000;

/** @param {import("../room-report.ts").RoomReport} room */
function roomRow(room) {
  const link = element("a", room.id);
  const query = new URLSearchParams({ sdkappid: String(room.sdkAppId), kind: room.kind });
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

/**
 * @param {readonly string[]} headings
 * @param {readonly Node[]} rows
 */
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

/** @param {import("../room-report.ts").RoomListReport} report */
function show(report) {
  byId("rooms").replaceChildren(
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
  byId("refusals").replaceChildren(...(rows.length === 0 ? [] : [heading, table(["Time", "Status", "Why"], rows)]));
}

async function poll() {
  try {
    const response = await fetch("/rooms");
    show(/** @type {import("../room-report.ts").RoomListReport} */ (await response.json()));
  } catch {
    byId("rooms").replaceChildren(element("p", "The emulator does not answer. Is it still running?", "empty"));
  }
  setTimeout(() => void poll(), POLL_MS);
}

await poll();
