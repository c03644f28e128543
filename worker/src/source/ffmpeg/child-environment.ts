/** Settings of the worker, which include its token. A program that reads hostile media must not see them. */
const OWN_SETTING = /^ROOMCAST_/i;
/** The machine's proxies are not for the gateway, and a `no_proxy` would let ffmpeg bypass the gateway. */
const PROXY_SETTING = /^(?:https?|all|no)_proxy$/i;

/** Returns the environment of ffmpeg and ffprobe: the worker's without its settings, plus the given variables. */
export function childEnvironment(
  given: Readonly<Record<string, string>> = {},
  own: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string | undefined> {
  const passed = Object.entries(own).filter(([name]) => !OWN_SETTING.test(name) && !PROXY_SETTING.test(name));
  return { ...Object.fromEntries(passed), ...given };
}
