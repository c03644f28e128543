let roomsMade = 0;

/** Names of string rooms that nobody was in yet. */
export function newRooms(count: number): string[] {
  return Array.from({ length: count }, () => {
    roomsMade += 1;
    return `bench_${roomsMade}`;
  });
}
