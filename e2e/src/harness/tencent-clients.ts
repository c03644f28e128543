import { scf } from "tencentcloud-sdk-nodejs/tencentcloud/services/scf/index.js";
import { trtc } from "tencentcloud-sdk-nodejs/tencentcloud/services/trtc/index.js";
import { expect } from "vitest";

export interface TencentClientOptions {
  readonly secretId: string;
  readonly secretKey: string;
  readonly token?: string;
  /** `<host>:<port>` */
  readonly endpoint: string;
  readonly reqMethod?: "GET" | "POST";
  readonly signMethod?: "TC3-HMAC-SHA256" | "HmacSHA256";
}

/** Returns Tencent's own clients, of which only the endpoint, the protocol and the signature are configured. */
export function tencentClients(options: TencentClientOptions) {
  const { endpoint, reqMethod = "POST", signMethod = "TC3-HMAC-SHA256", ...credential } = options;
  const config = {
    credential,
    region: "ap-guangzhou",
    profile: { signMethod, httpProfile: { endpoint, protocol: "http://", reqMethod } },
  } as const;
  return { scf: new scf.v20180416.Client(config), trtc: new trtc.v20190722.Client(config) };
}

/** Expects that the call is refused with this code, a RequestId and a matching message. */
export async function expectRefused(call: Promise<unknown>, code: string, message = /./): Promise<void> {
  await expect(call).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message),
    requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
  });
}
