import { PROGRESS_TTL_MS } from "./progress-record.ts";

/** The time without a write after which an active record no longer has an owner, ms. */
const STALE_AFTER_MS = 30_000;

/**
 * Writes a record unless it belongs to another push.
 *
 * Within one task, a lower attempt never overwrites a higher one. Between tasks of one source, a new task claims the
 * record with its first attempt. From then on the writes of the older task are refused. A later attempt may belong to a
 * task that is older than the owner, so it claims the record only from an owner that has ended or no longer writes.
 *
 * A probe does everything that a write does but changes no data. It fails if a later write would be refused by the
 * server.
 *
 * ARGV: 1 `claim`, `write` or `probe`, 2 TaskId, 3 Attempt, 4 now (Unix ms), 5 stale after (ms), 6 TTL (ms), 7… fields.
 * The script answers 1 if the record was written, and 0 if it belongs to another push.
 */
export const FENCED_WRITE = `
local taskId, attempt, state, updatedAt = unpack(redis.call('HMGET', KEYS[1], 'TaskId', 'Attempt', 'State', 'UpdatedAt'))
if ARGV[1] == 'probe' then
  redis.call('HSET', KEYS[1], 'UpdatedAt', updatedAt or ARGV[4])
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  return 1
end
if taskId then
  if taskId == ARGV[2] then
    if (tonumber(attempt) or 0) > tonumber(ARGV[3]) then return 0 end
  elseif ARGV[1] ~= 'claim' then
    return 0
  elseif tonumber(ARGV[3]) > 1 then
    local over = state == 'finished' or state == 'failed' or state == 'aborted'
    if not over and tonumber(ARGV[4]) - (tonumber(updatedAt) or 0) < tonumber(ARGV[5]) then return 0 end
  end
end
redis.call('HSET', KEYS[1], unpack(ARGV, 7))
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return 1
`;

export interface FencedWrite {
  readonly key: string;
  /**
   * `claim` if this push has not owned the record yet, `write` after that, and `probe` to check that the record can be
   * written.
   */
  readonly mode: "claim" | "write" | "probe";
  readonly taskId: string;
  readonly attempt: number;
  readonly nowMs: number;
  readonly fields: readonly string[];
}

/** Returns the arguments of EVAL that follow the script. */
export function fencedWriteArguments(write: FencedWrite): string[] {
  const { key, mode, taskId, attempt, nowMs, fields } = write;
  return ["1", key, mode, taskId, `${attempt}`, `${nowMs}`, `${STALE_AFTER_MS}`, `${PROGRESS_TTL_MS}`, ...fields];
}
