/** One room: a player and the measurements of each user, read anew each second. */
const POLL_MS = 1000;
/** A player that failed while its user still publishes is started again after so many polls. */
const RETRY_POLLS = 3;
/** Largest step between pictures that goes unmarked, ms. */
const GOOD_GAP_MS = 100;

const mpegts = globalThis.mpegts;
mpegts.LoggingControl.enableAll = false;

const roomId = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const roomPath = `/rooms/${encodeURIComponent(roomId)}`;
const cards = new Map();

function element(tag, content = [], className = "") {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  made.append(...[content].flat());
  return made;
}

/** A user's card: what is shown, and the player while there is one. */
class UserCard {
  root = element("article", [], "card");
  #pill = element("span", "", "pill");
  #video = document.createElement("video");
  #cover = element("div", "", "cover");
  #facts = document.createElement("dl");
  #player;
  #session = 0;
  #pollsToRetry = 0;

  constructor(userId) {
    this.userId = userId;
    this.root.append(
      element("div", [element("h2", userId), this.#pill], "title"),
      element("div", [this.#video, this.#cover], "screen"),
      this.#facts,
    );
  }

  show(user, room) {
    const session = user.sessions.at(-1);
    const flowing = user.online && (session.stream.video ?? session.stream.audio) !== null;
    const [text, className] = !user.online
      ? [session === undefined ? "never here" : `ended: ${session.endReason}`, "pill"]
      : flowing
        ? ["live", "pill good"]
        : ["no media yet", "pill bad"];
    this.#pill.textContent = text;
    this.#pill.className = className;
    if (this.#player !== undefined && (!flowing || session.number !== this.#session)) this.#close();
    if (!flowing) this.#coverWith(user.online ? "Connected, but nothing has come yet." : "Has left the room.");
    else if (this.#player === undefined && --this.#pollsToRetry < 0) this.#open(session, room);
    if (session !== undefined) this.#facts.replaceChildren(...factsOf(user, session));
  }

  close() {
    this.#close();
    this.root.remove();
  }

  #open(session, room) {
    this.#session = session.number;
    this.#pollsToRetry = RETRY_POLLS;
    this.#renewVideo();
    this.#coverWith(session.stream.video === null ? "Sound only." : "Waiting for the picture…");
    const query = new URLSearchParams({ sdkappid: room.sdkAppId, kind: room.kind });
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

  #coverWith(text) {
    this.#cover.textContent = text;
    this.#cover.hidden = false;
  }
}

const count = (number) => number.toLocaleString("en");

function factsOf(user, session) {
  const { video, audio } = session.stream;
  const facts = [];
  const add = (name, value, bad = false) => facts.push(element("dt", name), element("dd", value, bad ? "bad" : ""));
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

function show(room) {
  document.title = `${room.id} · TRTC room emulator`;
  document.querySelector("#room").textContent = `Room ${room.id}`;
  document.querySelector("#kind").textContent =
    `${room.kind === "number" ? "integer" : "string"} room of SdkAppId ${room.sdkAppId}`;
  say("");
  for (const user of room.users) {
    const card = cards.get(user.userId) ?? new UserCard(user.userId);
    if (!cards.has(user.userId)) {
      cards.set(user.userId, card);
      document.querySelector("#users").append(card.root);
    }
    card.show(user, room);
  }
}

function say(text) {
  const message = document.querySelector("#message");
  message.textContent = text;
  message.hidden = text === "";
}

function clear(text) {
  for (const card of cards.values()) card.close();
  cards.clear();
  document.querySelector("#room").textContent = `Room ${roomId}`;
  say(text);
}

async function poll() {
  try {
    const response = await fetch(`${roomPath}${location.search}`);
    const body = await response.json();
    if (response.ok) show(body);
    else clear(body.error.message);
  } catch {
    clear("The emulator does not answer. Is it still running?");
  }
  setTimeout(() => void poll(), POLL_MS);
}

await poll();
