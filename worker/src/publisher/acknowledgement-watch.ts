/** What the watch needs of a connection. */
export interface AcknowledgingPeer {
  /** Bytes that we have written. */
  readonly writtenBytes: number;
  /** How many acknowledgements the peer has sent. */
  readonly acknowledgements: number;
  /** After how many bytes the peer was last asked to acknowledge them; 0: never asked. */
  readonly announcedWindowBytes: number;
  setWindowAckSize(sizeBytes: number): void;
}

const FIRST_WINDOW_BYTES = 64 * 1024;
/** A paused push sends about a kilobyte a second. */
const MIN_WINDOW_BYTES = 2048;
const MAX_WINDOW_BYTES = 1024 * 1024;
/** The window follows the bit rate when it is off by more than this factor. */
const WINDOW_TOLERANCE = 4;
/** One acknowledgement may have been of the commands before. */
const ACKNOWLEDGEMENTS_TO_TRUST = 2;

/**
 * Finds a peer that takes nothing any more although the kernel still takes our bytes, by the acknowledgements that it
 * owes (Adobe RTMP 1.0, sections 5.4.3 and 5.4.4). It asks for one about twice between two looks, and judges only peers
 * that have acknowledged before. Does no I/O and has no clock.
 */
export class AcknowledgementWatch {
  readonly #peer: AcknowledgingPeer;
  readonly #timeoutMs: number;
  #acknowledgements: number;
  #writtenAtAcknowledgement: number;
  #writtenBefore: number;
  /** The most bytes that the peer has let pass between acknowledgements. */
  #mostOwedBytes = 0;
  /** The peer acknowledges at the window that it was asked for. */
  #obeys = false;
  /** Since when an acknowledgement may be expected. */
  #sinceMs: number;
  readonly #acknowledgementsBefore: number;

  constructor(peer: AcknowledgingPeer, options: { readonly timeoutMs: number; readonly nowMs: number }) {
    this.#peer = peer;
    this.#timeoutMs = options.timeoutMs;
    this.#sinceMs = options.nowMs;
    this.#acknowledgements = peer.acknowledgements;
    this.#acknowledgementsBefore = peer.acknowledgements;
    peer.setWindowAckSize(FIRST_WINDOW_BYTES);
    this.#writtenAtAcknowledgement = peer.writtenBytes;
    this.#writtenBefore = peer.writtenBytes;
  }

  /** To be called in equal steps, some of them within the time-out. @returns false when the peer is gone. */
  look(nowMs: number): boolean {
    const { acknowledgements, writtenBytes } = this.#peer;
    const stepBytes = writtenBytes - this.#writtenBefore;
    this.#writtenBefore = writtenBytes;
    if (acknowledgements !== this.#acknowledgements) this.#acknowledged(nowMs, stepBytes);
    this.#follow(stepBytes, nowMs);
    if (this.#acknowledgements - this.#acknowledgementsBefore < ACKNOWLEDGEMENTS_TO_TRUST) return true;
    const owedBytes = writtenBytes - this.#writtenAtAcknowledgement;
    const dueBytes = 2 * (this.#obeys ? this.#peer.announcedWindowBytes : this.#mostOwedBytes);
    return owedBytes <= dueBytes || nowMs - this.#sinceMs < this.#timeoutMs;
  }

  #acknowledged(nowMs: number, stepBytes: number): void {
    const { acknowledgements, writtenBytes, announcedWindowBytes } = this.#peer;
    const owedBytes = writtenBytes - this.#writtenAtAcknowledgement;
    this.#acknowledgements = acknowledgements;
    this.#writtenAtAcknowledgement = writtenBytes;
    this.#sinceMs = nowMs;
    this.#mostOwedBytes = Math.max(this.#mostOwedBytes, owedBytes);
    this.#obeys = owedBytes <= 2 * (announcedWindowBytes + stepBytes);
  }

  /** A window of half of what a step brings: seldom enough to cost nothing, often enough to be missed soon. */
  #follow(stepBytes: number, nowMs: number): void {
    const wantedBytes = Math.min(MAX_WINDOW_BYTES, Math.max(MIN_WINDOW_BYTES, Math.round(stepBytes / 2)));
    const { announcedWindowBytes } = this.#peer;
    if (wantedBytes > announcedWindowBytes * WINDOW_TOLERANCE) this.#peer.setWindowAckSize(wantedBytes);
    if (wantedBytes * WINDOW_TOLERANCE >= announcedWindowBytes) return;
    this.#peer.setWindowAckSize(wantedBytes);
    // The peer knows of a smaller window only from now on.
    this.#sinceMs = nowMs;
  }
}
