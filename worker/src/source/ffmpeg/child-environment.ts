/**
 * The names of the worker's settings. These include its token, so a program that reads hostile media must not see them.
 */
const OWN_SETTING = /^ROOMCAST_/i;
/**
 * The names of proxy settings. They would make ffmpeg connect to the gateway through a proxy, or (`no_proxy`) bypass
 * the gateway.
 */
const PROXY_SETTING = /^(?:https?|all|no)_proxy$/i;

/**
 * Returns the environment of ffmpeg and ffprobe: that of the worker without its settings and proxies, plus the given
 * variables.
 */
export function childEnvironment(
  given: Readonly<Record<string, string>> = {},
  own: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string | undefined> {
  const passed = Object.entries(own).filter(([name]) => !OWN_SETTING.test(name) && !PROXY_SETTING.test(name));
  return { ...Object.fromEntries(passed), ...given };
}
