/** How an HLS playlist begins (RFC 8216, section 4.3.1.1); ffmpeg takes nothing else for one. */
export const M3U8_MAGIC = "#EXTM3U";

/**
 * Gives every address in an HLS playlist another one: lines that are no tags, and `URI="…"` attributes of tags
 * (RFC 8216, sections 4.1 and 4.2). Pure.
 *
 * @param baseUrl where the playlist came from; relative addresses are resolved against it.
 * @param replace from an absolute URL to what shall stand in the playlist.
 */
export function rewriteM3u8(playlist: string, baseUrl: string, replace: (absoluteUrl: string) => string): string {
  const replaceOne = (reference: string) => {
    const url = URL.parse(reference, baseUrl);
    return url === null ? "" : replace(url.href);
  };
  return playlist
    .split(/\r\n|\r|\n/)
    .map((line) => {
      const trimmed = line.trim();
      if (trimmed === "") return "";
      if (!trimmed.startsWith("#")) return replaceOne(trimmed);
      return line.replace(
        /(URI=)(?:"([^"]*)"|([^",\s]+))/gi,
        (_match, name: string, quoted?: string, bare?: string) => {
          return `${name}"${replaceOne(quoted ?? bare ?? "")}"`;
        },
      );
    })
    .join("\n");
}
