/** Tencent's generator, which comes without types. The UserSig tests compare with it. */
declare module "tls-sig-api-v2" {
  export class Api {
    constructor(sdkAppId: number, secretKey: string);
    genUserSig(userId: string, lifetimeS: number): string;
    genSig(userId: string, lifetimeS: number, userBuffer: string | null): string;
    genPrivateMapKey(userId: string, lifetimeS: number, roomId: number, privileges: number): string;
    genPrivateMapKeyWithStringRoomID(userId: string, lifetimeS: number, roomId: string, privileges: number): string;
  }
}
