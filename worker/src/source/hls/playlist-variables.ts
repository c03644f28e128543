import { RoomcastError } from "@roomcast/shared";
import type { AttributeList } from "./attribute-list.ts";

/**
 * The most characters that variables may add to one string. The value of a variable may contain other variables, so
 * without a limit a few lines could expand to any length.
 */
const MAX_VALUE_LENGTH = 64 * 1024;
const MAX_EXPANDED_LENGTH = 64 * 1024 * 1024;

/**
 * The `EXT-X-DEFINE` variables of one playlist (RFC 8216bis, section 4.3). A reference to an undefined name is left
 * unchanged.
 */
export class PlaylistVariables {
  readonly #values = new Map<string, string>();
  readonly #imported: ReadonlyMap<string, string>;
  readonly #query: URLSearchParams;
  #expandedLength = 0;

  /** @param imported the variables of the master playlist, for `IMPORT` */
  constructor(url: string, imported: ReadonlyMap<string, string> = new Map()) {
    this.#imported = imported;
    this.#query = URL.parse(url)?.searchParams ?? new URLSearchParams();
  }

  get values(): ReadonlyMap<string, string> {
    return this.#values;
  }

  define(attributes: AttributeList): void {
    const name = attributes.text("NAME");
    const imported = attributes.text("IMPORT");
    const parameter = attributes.text("QUERYPARAM");
    if (name !== undefined) this.#set(name, attributes.text("VALUE") ?? "");
    else if (imported !== undefined) this.#set(imported, this.#imported.get(imported));
    else if (parameter !== undefined) this.#set(parameter, this.#query.get(parameter) ?? undefined);
  }

  /** Replaces each `{$name}` by the value of the variable. @throws RoomcastError if the result is too long */
  readonly expand = (text: string): string => {
    if (this.#values.size === 0 || !text.includes("{$")) return text;
    let added = 0;
    const expanded = text.replaceAll(/\{\$([\w-]{1,256})\}/g, (whole, name: string) => {
      const value = this.#values.get(name) ?? whole;
      added += value.length;
      this.#expandedLength += value.length;
      if (added > MAX_VALUE_LENGTH || this.#expandedLength > MAX_EXPANDED_LENGTH) {
        throw new RoomcastError(
          "FailedOperation.SourceUnsupported",
          "The HLS playlist defines variables (EXT-X-DEFINE) whose values are too long.",
        );
      }
      return value;
    });
    return expanded;
  };

  #set(name: string, value: string | undefined): void {
    if (value !== undefined) this.#values.set(name, value);
  }
}
