/**
 * @typedef {{ version?: string, link?: boolean, optional?: boolean, devOptional?: boolean, peer?: boolean }} LockedPackage
 * @typedef {{ packages?: Record<string, LockedPackage> }} Lockfile
 */

/**
 * Which packages of package-lock.json are not in node_modules in the locked version, going by the list that npm keeps
 * in node_modules/.package-lock.json. Optional packages (other platforms' binaries, failed downloads) may be missing.
 * Pure.
 *
 * @param {Lockfile} wanted package-lock.json
 * @param {Lockfile | undefined} installed node_modules/.package-lock.json, or undefined if there is none
 * @returns {string[]} the paths of missing packages, such as `node_modules/hono`; empty if all are installed
 */
export function missingPackages(wanted, installed) {
  const found = installed?.packages ?? {};
  return Object.entries(wanted.packages ?? {})
    .filter(([place, locked]) => {
      if (place === "") return false;
      const there = found[place];
      if (there === undefined) return !(locked.optional || locked.devOptional || locked.peer);
      return there.version !== locked.version;
    })
    .map(([place]) => place);
}
