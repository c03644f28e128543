import { type Room, type Seat, seatKey } from "@roomcast/shared";
import { BAD_NAME, type PushRefusal } from "./push-refusal.ts";

/** Which publishes a fault is for; a part that is left out matches all. */
export interface FaultScope {
  readonly sdkAppId?: number | undefined;
  readonly room?: Room | undefined;
  readonly userId?: string | undefined;
}

/** Turns publishes away although nothing is wrong with them. */
export interface RefusalFault {
  readonly scope: FaultScope;
  readonly refusal: PushRefusal;
  /** The number of publishes that are still to be refused. */
  readonly times: number;
}

export interface RefuseNextOptions {
  /** Which publishes; default all. */
  readonly scope?: FaultScope;
  readonly refusal?: Partial<PushRefusal>;
  /** The number of publishes; default 1. */
  readonly times?: number;
}

/** Faults that wait for somebody to come. Each publish uses up the oldest one that fits. */
export class FaultSwitches {
  #refusals: RefusalFault[] = [];
  readonly #stalled = new Set<string>();

  refuseNext(options: RefuseNextOptions): void {
    const refusal = { code: BAD_NAME, description: "Refused by a fault switch of the emulator.", ...options.refusal };
    this.#refusals.push({ scope: options.scope ?? {}, refusal, times: options.times ?? 1 });
  }

  /** The refusal for this publish, if there is one. */
  takeRefusal(seat: Seat): PushRefusal | undefined {
    const index = this.#refusals.findIndex((fault) => covers(fault.scope, seat));
    const fault = this.#refusals[index];
    if (fault === undefined) return undefined;
    if (fault.times > 1) this.#refusals[index] = { ...fault, times: fault.times - 1 };
    else this.#refusals.splice(index, 1);
    return fault.refusal;
  }

  stall(seat: Seat): void {
    this.#stalled.add(seatKey(seat));
  }

  unstall(seat: Seat): void {
    this.#stalled.delete(seatKey(seat));
  }

  /** True: nothing is read from this seat's publisher, present or coming. */
  isStalled(seat: Seat): boolean {
    return this.#stalled.has(seatKey(seat));
  }

  clear(): void {
    this.#refusals = [];
    this.#stalled.clear();
  }

  report(): { readonly refusals: readonly RefusalFault[]; readonly stalledSeats: readonly string[] } {
    return { refusals: [...this.#refusals], stalledSeats: [...this.#stalled] };
  }
}

function covers(scope: FaultScope, seat: Seat): boolean {
  return (
    (scope.sdkAppId === undefined || scope.sdkAppId === seat.sdkAppId) &&
    (scope.userId === undefined || scope.userId === seat.userId) &&
    (scope.room === undefined || (scope.room.kind === seat.room.kind && scope.room.id === seat.room.id))
  );
}
