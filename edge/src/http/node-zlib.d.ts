/**
 * Declares the functions of node:zlib that are used, because Node's own types cannot be used together with those of workerd.
 */
declare module "node:zlib" {
  export function unzipSync(data: Uint8Array, options: { readonly maxOutputLength: number }): Uint8Array;
  export function inflateSync(data: Uint8Array, options: { readonly maxOutputLength: number }): Uint8Array;
}
