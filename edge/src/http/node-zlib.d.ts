/** The parts of it that are used, because Node's own types exclude workerd's. */
declare module "node:zlib" {
  export function unzipSync(data: Uint8Array, options: { readonly maxOutputLength: number }): Uint8Array;
  export function inflateSync(data: Uint8Array, options: { readonly maxOutputLength: number }): Uint8Array;
}
