/**
 * The version of Roomcast: one for the edge, the worker and everything else in this repository. CHANGELOG.md says what
 * each version brings; CONTRIBUTING.md says how a new one is made.
 */
export const VERSION = "0.2.0";
