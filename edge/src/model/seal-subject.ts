// The edge seals each secret for one subject, and the secret can be opened for that subject only (see base/seal.ts).

/** The subject of a credential's SecretKey. */
export function credentialSubject(secretId: string): string {
  return `credential/${secretId}`;
}

/** The subject of the URL and the key of an application's callback. */
export function callbackSubject(sdkAppId: number): string {
  return `callback/${sdkAppId}`;
}

/** The subject of the URL and the key of a callback that a request brings for its own task. */
export function taskCallbackSubject(taskId: string): string {
  return `callback/${taskId}`;
}
