import { z } from "zod";

/** SCF writes the time of its own country, without saying so: the edge's offset from UTC must be known. */
const MINUTE_MS = 60_000;

/** `YYYY-MM-DD hh:mm:ss.ffffff` */
export function scfTime(ms: number, utcOffsetMinutes: number): string {
  return `${new Date(ms + utcOffsetMinutes * MINUTE_MS).toISOString().slice(0, -1).replace("T", " ")}000`;
}

const EXPECTED = 'a time such as "2026-12-31 20:15:00"';
const PATTERN = /^([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,6})?$/;

/** A text as SCF writes times; fractions of a second may be left out. */
export const scfTimeText = z.string(EXPECTED).refine((text) => !Number.isNaN(utcMs(text)), EXPECTED);

/** Unix ms of a text that `scfTimeText` lets pass. */
export function scfTimeMs(text: string, utcOffsetMinutes: number): number {
  return utcMs(text) - utcOffsetMinutes * MINUTE_MS;
}

/** NaN: it is no time. */
function utcMs(text: string): number {
  const [, date, time, fraction = ""] = PATTERN.exec(text) ?? [];
  if (date === undefined || time === undefined) return Number.NaN;
  const wholeMs = Date.parse(`${date}T${time}Z`);
  // The parser takes 30 February for 2 March.
  const isReal = !Number.isNaN(wholeMs) && new Date(wholeMs).toISOString().startsWith(date);
  return isReal ? wholeMs + Math.floor(Number(`0${fraction}`) * 1000) : Number.NaN;
}
