/** SdkAppId → SecretKey of the applications that the emulator knows. */
export type EmulatedApps = Readonly<Record<number, string>>;

/**
 * Reads `<SdkAppId>:<SecretKey>[,…]`.
 *
 * @throws Error that says what was expected, without the text.
 */
export function readEmulatedApps(text: string | undefined): EmulatedApps {
  const entries = (text ?? "").split(",").filter((entry) => entry.trim() !== "");
  if (entries.length === 0) {
    throw new Error(
      "ROOMCAST_EMULATOR_APPS is missing: expected <SdkAppId>:<SecretKey>[,…], the apps that may publish.",
    );
  }
  const apps: Record<number, string> = {};
  for (const [index, entry] of entries.entries()) {
    const match = /^([1-9][0-9]{0,9}):(\S+)$/.exec(entry.trim());
    if (match === null) {
      throw new Error(`ROOMCAST_EMULATOR_APPS: entry ${index + 1} is invalid: expected <SdkAppId>:<SecretKey>.`);
    }
    apps[Number(match[1])] = match[2] ?? "";
  }
  return apps;
}
