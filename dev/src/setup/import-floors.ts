import { readFile } from "node:fs/promises";
import { dirname, normalize } from "node:path/posix";
import { parseSync, Visitor } from "oxc-parser";

/** An import of one file by another; both are paths from the folder that holds the package's source. */
export interface FileImport {
  readonly from: string;
  readonly to: string;
}

/** An import that closes a circle of folders, with the way back from its target to its own folder. */
export interface UpwardImport extends FileImport {
  readonly wayBack: readonly string[];
}

/**
 * Returns the imports that close a circle between folders, where two folders use each other directly or through others.
 * A folder and a folder inside it are two folders; a package's root files use all others
 * and are used by none. Type imports count, because a type is knowledge too. Pure.
 */
export function upwardImports(imports: readonly FileImport[]): UpwardImport[] {
  const across = imports.filter(({ from, to }) => dirname(from) !== dirname(to));
  const uses = Map.groupBy(across, ({ from }) => dirname(from));
  return across.flatMap((each) => {
    const wayBack = shortestWay(dirname(each.to), dirname(each.from), uses);
    return wayBack === null ? [] : [{ ...each, wayBack }];
  });
}

/** Folders from one to another along imports. Null if there is no way. */
function shortestWay(
  from: string,
  to: string,
  uses: ReadonlyMap<string, readonly FileImport[]>,
): readonly string[] | null {
  const cameFrom = new Map<string, string | null>([[from, null]]);
  // Keys that are added to a map during its iteration are visited too, so this visits all reachable folders, nearest first.
  for (const folder of cameFrom.keys()) {
    if (folder === to) break;
    for (const next of uses.get(folder) ?? []) {
      if (!cameFrom.has(dirname(next.to))) cameFrom.set(dirname(next.to), folder);
    }
  }
  if (!cameFrom.has(to)) return null;
  const way: string[] = [];
  for (let folder: string | null | undefined = to; folder != null; folder = cameFrom.get(folder)) way.unshift(folder);
  return way;
}

/** The relative imports of a source text: of values, of types, of what is exported again, and in `import()`. Pure. */
export function importsOf(file: string, text: string): FileImport[] {
  const { module, program } = parseSync(file, text);
  const specifiers = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) =>
      entries.flatMap(({ moduleRequest }) => moduleRequest?.value ?? []),
    ),
  ];
  new Visitor({
    ImportExpression: ({ source }) => {
      if (source.type === "Literal" && typeof source.value === "string") specifiers.push(source.value);
    },
    TSImportType: ({ source }) => {
      specifiers.push(source.value);
    },
  }).visit(program);
  return [...new Set(specifiers)]
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => ({ from: file, to: normalize(`${dirname(file)}/${specifier}`) }));
}

/** The imports of all files of a folder, without tests and their support: those may look into every floor. */
export async function readImports(root: string, files: readonly string[]): Promise<FileImport[]> {
  const sources = files.filter((file) => file.endsWith(".ts") && !/\.(test|test-support|cases|d)\.ts$/.test(file));
  const found = await Promise.all(
    sources.map(async (file) => importsOf(file, await readFile(`${root}/${file}`, "utf8"))),
  );
  // Files outside the folder belong to another package, whose imports are checked separately.
  return found.flat().filter(({ to }) => !to.startsWith(".."));
}
