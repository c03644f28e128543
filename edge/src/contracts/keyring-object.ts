import type {
  AuditList,
  CallbackView,
  CredentialView,
  NewCredential,
  WorkerTokenList,
  WorkerTokenView,
} from "@roomcast/shared";
import type { AppScope } from "../model/app-scope.ts";

/** The name of the one Keyring. */
export const KEYRING = "keyring";

/**
 * The interface of the Keyring: credentials, worker tokens and callbacks that are changed without a deploy, and the audit log
 * of their changes. For an object that the actor may not see, the answer is the same as for one that does not exist.
 */
export interface KeyringObject extends Rpc.DurableObjectBranded {
  /** Returns the present state of the keyring, or null if the known version is still the present one. */
  snapshot(knownVersion: string | null): KeyringSnapshot | null;

  credentials(by: Actor): CredentialView[];

  addCredential(by: Actor, wanted: AddCredential): Promise<Added<NewCredential>>;

  /**
   * Gives a credential a new SecretKey; earlier SecretKeys stay valid for at most the overlap. Returns null if there is no such
   * credential.
   */
  rotateCredential(by: Actor, secretId: string, overlapMs: number): Promise<NewCredential | null>;

  /** Returns false if there is no such credential. */
  revokeCredential(by: Actor, secretId: string): boolean;

  workerTokens(): WorkerTokenList;

  /** Stores the id of a token that the caller mints. */
  addWorkerToken(by: Actor, wanted: AddWorkerToken): Added<WorkerTokenView>;

  /** Revokes all tokens of a worker. The caller must end the worker's connections. */
  revokeWorker(by: Actor, workerId: string): void;

  /** Returns true if a worker token with a valid signature has not been revoked. */
  admitsWorker(workerId: string, tokenId: string | null): boolean;

  /** Returns null if the application has no callback. */
  callback(sdkAppId: number): CallbackView | null;

  setCallback(by: Actor, callback: SetCallback): Promise<Added<CallbackView>>;

  /** Returns false if the application has no callback. */
  removeCallback(by: Actor, sdkAppId: number): boolean;

  /**
   * Writes into the audit log that a worker was drained or put back into service. The state itself is stored by the worker's
   * region.
   */
  noteDrain(by: Actor, workerId: string, drained: boolean): void;

  audit(reader: Actor, query: AuditQuery): AuditList["lines"];
}

/** Everything that is needed to authenticate a call. `version` changes whenever any part of it changes. */
export interface KeyringSnapshot {
  readonly version: string;
  readonly credentials: readonly StoredCredential[];
  readonly callbacks: readonly StoredCallback[];
}

export type Role = CredentialView["role"];

export interface StoredCredential {
  readonly secretId: string;
  readonly role: Role;
  readonly sdkAppIds: AppScope;
  readonly note: string;
  readonly createdAtMs: number;
  readonly createdBy: string;
  /** The SecretKeys, the newest first. */
  readonly keys: readonly SealedKey[];
}

/** A SecretKey, sealed for `credentialSubject`. */
export interface SealedKey {
  readonly sealed: string;
  readonly sinceMs: number;
  /** The time from which the key is invalid, Unix ms, or null if no end is set. */
  readonly untilMs: number | null;
}

/** The callback of an application. */
export interface StoredCallback {
  readonly sdkAppId: number;
  /** `{ url, key }`, sealed for `callbackSubject`: the URL may hold a token. */
  readonly sealed: string;
  /** The URL's origin. An older version stored the path too. */
  readonly shownUrl: string;
  readonly events: CallbackView["Events"];
  readonly changedAtMs: number;
  readonly changedBy: string;
}

/** The author of a change, with the applications that they may see. */
export interface Actor {
  readonly secretId: string;
  readonly sdkAppIds: AppScope;
}

export interface AuditQuery {
  readonly limit: number;
  /** Selects lines older than the one with this number. */
  readonly before: number | null;
}

export interface AddCredential {
  readonly sdkAppIds: AppScope;
  readonly role: Role;
  readonly note: string;
}

export interface AddWorkerToken {
  readonly workerId: string;
  readonly regions: readonly string[];
  readonly lifetimeS: number;
}

export interface SetCallback {
  readonly sdkAppId: number;
  readonly url: string;
  readonly shownUrl: string;
  readonly key: string;
  readonly events: CallbackView["Events"];
}

/** The result of storing an object. `full` means that the edge cannot store any more objects of this kind. */
export type Added<Value> = { readonly kind: "added"; readonly value: Value } | { readonly kind: "full" };
