/** Settings of the worker itself, its token among them: what reads hostile media has no business with them. */
const OWN_SETTING = /^ROOMCAST_/i;
/** A proxy of the machine is not for the gateway, and an exception from proxies would lead past the gateway. */
const PROXY_SETTING = /^(?:https?|all|no)_proxy$/i;

/** The environment of ffmpeg and ffprobe: the worker's own without what they must not see, and what is given. */
export function childEnvironment(
  given: Readonly<Record<string, string>> = {},
  own: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string | undefined> {
  const passed = Object.entries(own).filter(([name]) => !OWN_SETTING.test(name) && !PROXY_SETTING.test(name));
  return { ...Object.fromEntries(passed), ...given };
}
