/** Columns and rows as lines of text, every cell at the right of its column. */
export function formatTable(columns: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map((column, n) => Math.max(column.length, ...rows.map((row) => row[n]?.length ?? 0)));
  return [columns, ...rows].map((cells) => cells.map((cell, n) => cell.padStart(widths[n] ?? 0)).join("  "));
}
