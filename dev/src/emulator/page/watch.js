import { byId, element } from "./element.js";

/** One room: a player and the measurements of each user, read anew each second. */
const POLL_MS = 1000;
/** A player that failed while its user still publishes is started again after so many polls. */
const RETRY_POLLS = 3;
/** Largest step between pictures that goes unmarked, ms. */
const GOOD_GAP_MS = 100;

/** Set by the script that the page loads first. */
const mpegts = /** @type {typeof import("mpegts.js").default} */ (Reflect.get(globalThis, "mpegts"));
mpegts.LoggingControl.enableAll = false;

const roomId = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const roomPath = `/rooms/${encodeURIComponent(roomId)}`;
/** @type {Map<string, UserCard>} */
const cards = new Map();

/** A user's card: what is shown, and the player while there is one. */
class UserCard {
  root = element("article", [], "card");
  #pill = element("span", "", "pill");
  #video = document.createElement("video");
  #cover = element("div", "", "cover");
  #facts = document.createElement("dl");
  /** @type {ReturnType<typeof mpegts.createPlayer> | undefined} */
  #player;
  #session = 0;
  #pollsToRetry = 0;

  /** @param {string} userId */
  constructor(userId) {
    this.userId = userId;
    this.root.append(
      element("div", [element("h2", userId), this.#pill], "title"),
      element("div", [this.#video, this.#cover], "screen"),
      this.#facts,
    );
  }

  /**
   * @param {import("../room-report.ts").UserReport} user
   * @param {import("../room-report.ts").RoomReport} room
   */
  show(user, room) {
    const session = user.sessions.at(-1);
    const live = user.online ? session : undefined;
    const flowing = live !== undefined && (live.stream.video ?? live.stream.audio) !== null;
    const [text, className] = !user.online
      ? [session === undefined ? "never here" : `ended: ${session.endReason}`, "pill"]
      : flowing
        ? ["live", "pill good"]
        : ["no media yet", "pill bad"];
    this.#pill.textContent = text;
    this.#pill.className = className;
    if (this.#player !== undefined && (!flowing || live.number !== this.#session)) this.#close();
    if (!flowing) this.#coverWith(user.online ? "Connected, but nothing has come yet." : "Has left the room.");
    else if (this.#player === undefined && --this.#pollsToRetry < 0) this.#open(live, room);
    if (session !== undefined) this.#facts.replaceChildren(...factsOf(user, session));
  }

  close() {
    this.#close();
    this.root.remove();
  }

  /**
   * @param {import("../room-report.ts").SessionReport} session
   * @param {import("../room-report.ts").RoomReport} room
   */
  #open(session, room) {
    this.#session = session.number;
    this.#pollsToRetry = RETRY_POLLS;
    this.#renewVideo();
    this.#coverWith(session.stream.video === null ? "Sound only." : "Waiting for the picture…");
    const query = new URLSearchParams({ sdkappid: String(room.sdkAppId), kind: room.kind });
    this.#player = mpegts.createPlayer(
      {
        type: "flv",
        isLive: true,
        hasVideo: session.stream.video !== null,
        hasAudio: session.stream.audio !== null,
        url: `${roomPath}/${encodeURIComponent(this.userId)}.flv?${query.toString()}`,
      },
      { enableStashBuffer: false, liveBufferLatencyChasing: true, liveBufferLatencyMaxLatency: 2.5 },
    );
    this.#player.on(mpegts.Events.ERROR, () => this.#fail("The picture cannot be played; trying again…"));
    this.#player.on(mpegts.Events.LOADING_COMPLETE, () => this.#fail("The stream has ended."));
    this.#player.attachMediaElement(this.#video);
    this.#player.load();
    // Refused where the browser wants a click first; the controls are there.
    this.#player.play()?.catch(() => {});
  }

  /** Chromium's sound-only playback stalls on an element that has played another stream before. */
  #renewVideo() {
    const video = document.createElement("video");
    Object.assign(video, { muted: true, autoplay: true, playsInline: true, controls: true });
    video.addEventListener("playing", () => {
      this.#cover.hidden = true;
    });
    this.#video.replaceWith(video);
    this.#video = video;
  }

  /** @param {string} text */
  #fail(text) {
    this.#close();
    this.#coverWith(text);
  }

  #close() {
    const player = this.#player;
    this.#player = undefined;
    // Not from inside the player's own event.
    if (player !== undefined) queueMicrotask(() => player.destroy());
  }

  /** @param {string} text */
  #coverWith(text) {
    this.#cover.textContent = text;
    this.#cover.hidden = false;
  }
}

/** @param {number} number */
const count = (number) => number.toLocaleString("en");

/**
 * @param {import("../room-report.ts").UserReport} user
 * @param {import("../room-report.ts").SessionReport} session
 */
function factsOf(user, session) {
  const { video, audio } = session.stream;
  /** @type {HTMLElement[]} */
  const facts = [];
  /**
   * @param {string} name
   * @param {string} value
   */
  const add = (name, value, bad = false) => facts.push(element("dt", name), element("dd", value, bad ? "bad" : ""));
  /** @param {number | null} number */
  const ms = (number) => (number === null ? "–" : `${count(Math.round(number))} ms`);
  if (video === null) add("Picture", "none");
  else {
    const size = video.width === null ? "size unknown" : `${video.width}×${video.height}`;
    add("Picture", `${video.codec}, ${size}, ${video.fps ?? "–"} fps`, video.codec !== "h264");
    add("Frames", `${count(video.tags)}, of them ${count(video.keyframes)} keyframes`);
    add("First picture", `${ms((video.firstTagAtMs ?? 0) - session.connectedAtMs)} after connecting`);
    add(
      "Longest GOP",
      video.longestGopMs === null ? "–" : `${ms(video.longestGopMs)}, ${video.longestGopFrames} frames`,
    );
    add(
      "B-frames",
      video.bFrames === 0
        ? "none"
        : `yes: ${count(video.bFrames)} frames with a composition time; TRTC does not carry them`,
      video.bFrames > 0,
    );
    add("Largest gap", `${ms(video.largestGapMs)} in time stamps`, video.largestGapMs > GOOD_GAP_MS);
    add("", `${ms(video.largestArrivalGapMs)} between arrivals`);
    add("Time going back", `${count(video.timestampsBack)} times`, video.timestampsBack > 0);
    add("Size changes", String(video.resolutionChanges), video.resolutionChanges > 0);
  }
  if (audio === null) add("Sound", "none");
  else {
    const format = audio.sampleRateHz === null ? "" : `, ${audio.sampleRateHz / 1000} kHz, ${audio.channels} ch`;
    add("Sound", `${audio.codec}${format}`, audio.codec !== "aac");
  }
  const { avSkewMs, largestAvSkewMs } = session.stream;
  if (avSkewMs !== null) add("Sound − picture", `${ms(avSkewMs)} now, at most ${ms(largestAvSkewMs)} apart`);
  add(
    "Bit rate",
    `${count(session.stream.bitRateKbps)} kbit/s now, ${count(session.stream.averageBitRateKbps)} on average`,
  );
  add(
    "Sessions",
    `${user.publishes}, replaced ${user.replacements} times, longest wait ${ms(user.longestPictureWaitMs)}`,
  );
  return facts;
}

/** @param {import("../room-report.ts").RoomReport} room */
function show(room) {
  document.title = `${room.id} · TRTC room emulator`;
  byId("room").textContent = `Room ${room.id}`;
  byId("kind").textContent = `${room.kind === "number" ? "integer" : "string"} room of SdkAppId ${room.sdkAppId}`;
  say("");
  for (const user of room.users) {
    const card = cards.get(user.userId) ?? new UserCard(user.userId);
    if (!cards.has(user.userId)) {
      cards.set(user.userId, card);
      byId("users").append(card.root);
    }
    card.show(user, room);
  }
}

/** @param {string} text */
function say(text) {
  const message = byId("message");
  message.textContent = text;
  message.hidden = text === "";
}

/** @param {string} text */
function clear(text) {
  for (const card of cards.values()) card.close();
  cards.clear();
  byId("room").textContent = `Room ${roomId}`;
  say(text);
}

async function poll() {
  try {
    const response = await fetch(`${roomPath}${location.search}`);
    const body = await response.json();
    if (response.ok) show(/** @type {import("../room-report.ts").RoomReport} */ (body));
    else clear(/** @type {{ error: { message: string } }} */ (body).error.message);
  } catch {
    clear("The emulator does not answer. Is it still running?");
  }
  setTimeout(() => void poll(), POLL_MS);
}

await poll();
