// This is preloaded into a worker and shifts its clock by CLOCK_OFFSET_MS. The monotonic clock is not changed.
const offsetMs = Number(process.env["CLOCK_OFFSET_MS"]);
const RealDate = Date;

globalThis.Date = class extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + offsetMs);
    else super(...given);
  }

  static now() {
    return RealDate.now() + offsetMs;
  }
};
