/**
 * The version of Roomcast, common to the edge, the worker and all else in this repository. CHANGELOG.md lists the
 * changes of each version; CONTRIBUTING.md describes how a new one is made.
 */
export const VERSION = "0.2.0";
