/** The part of a connection that the watch uses. */
export interface AcknowledgingPeer {
  /** Bytes written to the peer. */
  readonly writtenBytes: number;
  /** The number of acknowledgements that the peer has sent. */
  readonly acknowledgements: number;
  /** The acknowledgement window that the peer was last asked for, bytes; 0 if it was never asked. */
  readonly announcedWindowBytes: number;
  setWindowAckSize(sizeBytes: number): void;
}

const FIRST_WINDOW_BYTES = 64 * 1024;
/** The smallest window. A paused push sends only about a kilobyte per second, and must be acknowledged too. */
const MIN_WINDOW_BYTES = 2048;
const MAX_WINDOW_BYTES = 1024 * 1024;
/** The factor by which the window may differ from the one that fits the bit rate before it is set again. */
const WINDOW_TOLERANCE = 4;
/**
 * The number of acknowledgements after which a peer is judged. A single one may have been for the commands before the media.
 */
const ACKNOWLEDGEMENTS_TO_TRUST = 2;

/**
 * Detects a peer that no longer receives anything although the kernel still accepts bytes: its acknowledgements are
 * overdue (Adobe RTMP 1.0, sections 5.4.3 and 5.4.4). The window is chosen so that about two acknowledgements come
 * between two checks. Only peers that have acknowledged before are judged. Does no I/O and has no clock.
 */
export class AcknowledgementWatch {
  readonly #peer: AcknowledgingPeer;
  readonly #timeoutMs: number;
  #acknowledgements: number;
  #writtenAtAcknowledgement: number;
  #writtenBefore: number;
  /** The largest number of bytes that was seen between two acknowledgements of the peer. */
  #mostOwedBytes = 0;
  /** True if the peer uses the window that it was asked for. */
  #obeys = false;
  /** The time since which an acknowledgement is expected. */
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

  /** Must be called at regular intervals, several times per time-out. Returns false if the peer is gone. */
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

  /** Sets the window to half the bytes of one interval: acknowledgements cost little, and a missing one is noticed soon. */
  #follow(stepBytes: number, nowMs: number): void {
    const wantedBytes = Math.min(MAX_WINDOW_BYTES, Math.max(MIN_WINDOW_BYTES, Math.round(stepBytes / 2)));
    const { announcedWindowBytes } = this.#peer;
    if (wantedBytes > announcedWindowBytes * WINDOW_TOLERANCE) this.#peer.setWindowAckSize(wantedBytes);
    if (wantedBytes * WINDOW_TOLERANCE >= announcedWindowBytes) return;
    this.#peer.setWindowAckSize(wantedBytes);
    // The peer learns of a smaller window only now, so acknowledgements by that window can be expected only from now on.
    this.#sinceMs = nowMs;
  }
}
