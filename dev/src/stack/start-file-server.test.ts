import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FileServerHandle, startFileServer } from "./start-file-server.ts";
import { makeTempFolder, type TempFolder } from "./temp-folder.ts";

const CONTENT = "0123456789";
let folder: TempFolder;
let server: FileServerHandle;
let file: string;

beforeAll(async () => {
  folder = await makeTempFolder();
  file = join(folder.path, "a clip.mp4");
  await writeFile(file, CONTENT);
  server = await startFileServer();
});

afterAll(async () => {
  await server.stop();
  await folder.remove();
});

async function read(url: string, range?: string) {
  const response = await fetch(url, range === undefined ? {} : { headers: { Range: range } });
  return { status: response.status, range: response.headers.get("Content-Range"), text: await response.text() };
}

describe("startFileServer", () => {
  it.each([
    { range: undefined, status: 200, text: CONTENT, contentRange: null },
    { range: "bytes=3-5", status: 206, text: "345", contentRange: "bytes 3-5/10" },
    { range: "bytes=7-", status: 206, text: "789", contentRange: "bytes 7-9/10" },
    { range: "bytes=-2", status: 206, text: "89", contentRange: "bytes 8-9/10" },
    { range: "bytes=8-99", status: 206, text: "89", contentRange: "bytes 8-9/10" },
    { range: "bytes=10-", status: 416, text: "", contentRange: "bytes */10" },
  ])("answers range $range with $status", async ({ range, status, text, contentRange }) => {
    expect(await read(server.serve(file), range)).toEqual({ status, text, range: contentRange });
  });

  it("serves a playlist with the files beside it", async () => {
    await writeFile(join(folder.path, "index.m3u8"), "#EXTM3U");
    const url = server.servePlaylist(join(folder.path, "index.m3u8"));
    expect(await read(url)).toMatchObject({ status: 200, text: "#EXTM3U" });
    expect(await read(new URL("a clip.mp4", url).href)).toMatchObject({ status: 200, text: CONTENT });
  });

  it("answers 404 for a path that is not served", async () => {
    expect((await read(`${server.origin}/etc/passwd`)).status).toBe(404);
  });

  it("answers with the status of a status fault", async () => {
    expect((await read(server.serve(file, { name: "status", status: 403 }))).status).toBe(403);
  });

  it("serves a truncated file as if it were complete", async () => {
    expect(await read(server.serve(file, { name: "truncate", afterBytes: 4 }))).toMatchObject({
      status: 200,
      text: "0123",
    });
  });

  it("drops the connection the given number of times", async () => {
    const url = server.serve(file, { name: "drop", afterBytes: 4, times: 1 });
    await expect(read(url)).rejects.toThrow(/terminated|fetch failed|other side closed/);
    expect((await read(url, "bytes=4-")).text).toBe("456789");
    expect(server.requests(url)).toBe(2);
  });

  it("sends the first bytes of a stalled file and then nothing until the server stops", async () => {
    const other = await startFileServer();
    const response = await fetch(other.serve(file, { name: "stall", afterBytes: 4 }));
    const reader = response.body?.getReader();
    const first = await reader?.read();
    expect(new TextDecoder().decode(first?.value)).toBe("0123");
    const next = reader?.read().then(
      () => "more",
      () => "cut",
    );
    await other.stop();
    await other.stop();
    expect(await next).toBe("cut");
  });

  it("never answers for a hanging file, and stop() cuts the request", async () => {
    const other = await startFileServer();
    const url = other.serve(file, { name: "hang" });
    const answer = fetch(url).then(
      () => "answered",
      () => "cut",
    );
    await expect.poll(() => other.requests(url)).toBe(1);
    await other.stop();
    expect(await answer).toBe("cut");
  });
});
