import { VERSION } from "@roomcast/shared";

/** How every request to a source names itself: servers refuse those that do not. */
export const USER_AGENT = `Roomcast/${VERSION}`;
