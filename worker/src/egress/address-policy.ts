/** The edge guards its callbacks by the same policy. */
export { type AddressPolicy, judgeAddress, parseAddressPolicy } from "@roomcast/shared";
