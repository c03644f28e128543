import { z } from "zod";

const MINUTE_MS = 60_000;

/**
 * Writes a time as SCF does, `YYYY-MM-DD hh:mm:ss.ffffff`. SCF uses the local time of its country and names no zone, so the
 * offset from UTC must be given.
 */
export function scfTime(ms: number, utcOffsetMinutes: number): string {
  return `${new Date(ms + utcOffsetMinutes * MINUTE_MS).toISOString().slice(0, -1).replace("T", " ")}000`;
}

const EXPECTED = 'a time such as "2026-12-31 20:15:00"';
const PATTERN = /^([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,6})?$/;

/** The schema of a time as SCF writes it. The fraction of a second may be left out. */
export const scfTimeText = z.string(EXPECTED).refine((text) => !Number.isNaN(utcMs(text)), EXPECTED);

/** Returns the Unix time, in ms, of a string that `scfTimeText` accepts. */
export function scfTimeMs(text: string, utcOffsetMinutes: number): number {
  return utcMs(text) - utcOffsetMinutes * MINUTE_MS;
}

/** Reads the time as if it were in UTC. Returns NaN if the string is not a time. */
function utcMs(text: string): number {
  const [, date, time, fraction = ""] = PATTERN.exec(text) ?? [];
  if (date === undefined || time === undefined) return Number.NaN;
  const wholeMs = Date.parse(`${date}T${time}Z`);
  // The parser accepts 30 February as 2 March, so the parsed date is compared with the written one.
  const isReal = !Number.isNaN(wholeMs) && new Date(wholeMs).toISOString().startsWith(date);
  return isReal ? wholeMs + Math.floor(Number(`0${fraction}`) * 1000) : Number.NaN;
}
