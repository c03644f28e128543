import { DurableObject } from "cloudflare:workers";
import type {
  AuditList,
  CallbackView,
  CredentialView,
  NewCredential,
  WorkerTokenList,
  WorkerTokenView,
} from "@roomcast/shared";
import { readConfig } from "../../base/config.ts";
import { hex } from "../../base/hex.ts";
import { fingerprints, openSealed, type SealKeys, seal } from "../../base/seal.ts";
import { CallbackStore, showCallback } from "../../callback/callback-store.ts";
import type { Env } from "../../contracts/env.ts";
import type {
  Actor,
  AddCredential,
  Added,
  AddWorkerToken,
  AuditQuery,
  KeyringObject,
  KeyringSnapshot,
  SealedKey,
  SetCallback,
  StoredCredential,
} from "../../contracts/keyring-object.ts";
import { covers } from "../../model/app-scope.ts";
import { callbackSubject, credentialSubject } from "../../model/seal-subject.ts";
import { AuditLog, type Change } from "./audit-log.ts";

import { CredentialStore, rotated, showCredential } from "./credential-store.ts";

import { showWorkerToken, WorkerTokenStore } from "./worker-token-store.ts";

const MAX_CREDENTIALS = 1000;
const MAX_CALLBACKS = 1000;
const MAX_WORKER_TOKENS = 10_000;

/**
 * The credentials, worker tokens and callbacks that are changed without a deploy, and the log of these changes.
 * SecretKeys and callback keys are stored sealed. For a caller, entries outside the caller's scope do not exist.
 */
export class Keyring extends DurableObject<Env> implements KeyringObject {
  readonly #audit = new AuditLog(this.ctx.storage.sql);
  readonly #credentials = new CredentialStore(this.ctx.storage.sql);
  readonly #tokens = new WorkerTokenStore(this.ctx.storage.sql);
  readonly #callbacks = new CallbackStore(this.ctx.storage.sql);

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(() => this.#sealAnew());
  }

  /**
   * Returns all credentials and callbacks, with their version. Returns null if the caller's version is still the
   * current one.
   */
  snapshot(knownVersion: string | null): KeyringSnapshot | null {
    const version = this.#version();
    if (version === knownVersion) return null;
    return { version, credentials: this.#credentials.all(), callbacks: this.#callbacks.all() };
  }

  credentials(by: Actor): CredentialView[] {
    const nowMs = Date.now();
    return this.#credentials
      .all()
      .filter(({ sdkAppIds }) => covers(by.sdkAppIds, sdkAppIds))
      .map((credential) => showCredential(credential, nowMs));
  }

  async addCredential(by: Actor, { sdkAppIds, role, note }: AddCredential): Promise<Added<NewCredential>> {
    const secretId = `AKID${hex(crypto.getRandomValues(new Uint8Array(16)))}`;
    const { secretKey, sealed } = await this.#newKey(secretId);
    if (this.#credentials.all().length >= MAX_CREDENTIALS) return { kind: "full" };
    const nowMs = Date.now();
    const credential: StoredCredential = {
      secretId,
      role,
      sdkAppIds,
      note,
      createdAtMs: nowMs,
      createdBy: by.secretId,
      keys: [{ sealed, sinceMs: nowMs, untilMs: null }],
    };
    this.#change(by, { action: "credential.add", subject: secretId, sdkAppIds, detail: `role ${role}` }, () =>
      this.#credentials.put(credential),
    );
    return { kind: "added", value: { ...showCredential(credential, nowMs), secretKey } };
  }

  /**
   * Gives a credential a new SecretKey. The earlier SecretKeys stay valid for the overlap at most. Returns null if
   * there is no such credential.
   */
  async rotateCredential(by: Actor, secretId: string, overlapMs: number): Promise<NewCredential | null> {
    const { secretKey, sealed } = await this.#newKey(secretId);
    const before = this.#visible(by, secretId);
    if (before === undefined) return null;
    const nowMs = Date.now();
    const newest: SealedKey = { sealed, sinceMs: nowMs, untilMs: null };
    const credential = { ...before, keys: rotated(before.keys, newest, overlapMs) };
    const detail = `the earlier SecretKey holds for another ${Math.round(overlapMs / 1000)} s`;
    this.#change(by, { action: "credential.rotate", subject: secretId, sdkAppIds: before.sdkAppIds, detail }, () =>
      this.#credentials.put(credential),
    );
    return { ...showCredential(credential, nowMs), secretKey };
  }

  /** Revokes a credential. Returns false if there is no such credential. */
  revokeCredential(by: Actor, secretId: string): boolean {
    const before = this.#visible(by, secretId);
    if (before === undefined) return false;
    const { sdkAppIds, role } = before;
    this.#change(by, { action: "credential.revoke", subject: secretId, sdkAppIds, detail: `role ${role}` }, () =>
      this.#credentials.remove(secretId),
    );
    return true;
  }

  workerTokens(): WorkerTokenList {
    return this.#tokens.list(Date.now());
  }

  /** Records a worker token. The caller then mints the token with the id that is returned. */
  addWorkerToken(by: Actor, { workerId, regions, lifetimeS }: AddWorkerToken): Added<WorkerTokenView> {
    const nowMs = Date.now();
    if (this.#tokens.count(nowMs) >= MAX_WORKER_TOKENS) return { kind: "full" };
    const token = {
      tokenId: crypto.randomUUID(),
      workerId,
      regions,
      createdAtMs: nowMs,
      createdBy: by.secretId,
      expiresAtMs: nowMs + lifetimeS * 1000,
    };
    const detail = `for ${regions.join(", ")}, ${lifetimeS} s, token ${token.tokenId}`;
    this.#change(by, { action: "worker-token.mint", subject: workerId, sdkAppIds: "*", detail }, () =>
      this.#tokens.add(token),
    );
    return { kind: "added", value: showWorkerToken(token) };
  }

  /** Revokes all tokens of this worker. The caller closes the worker's connections. */
  revokeWorker(by: Actor, workerId: string): void {
    const detail = "all its tokens";
    this.#change(by, { action: "worker.revoke", subject: workerId, sdkAppIds: "*", detail }, (nowMs) =>
      this.#tokens.revoke(workerId, nowMs),
    );
  }

  /** Returns true if a worker token, whose signature the caller has verified, is still valid. */
  admitsWorker(workerId: string, tokenId: string | null): boolean {
    return this.#tokens.admits(workerId, tokenId);
  }

  callback(sdkAppId: number): CallbackView | null {
    const callback = this.#callbacks.get(sdkAppId);
    return callback === undefined ? null : showCallback(callback);
  }

  async setCallback(by: Actor, callback: SetCallback): Promise<Added<CallbackView>> {
    const { sdkAppId, url, key, shownUrl, events } = callback;
    const sealed = await seal({ url, key }, this.#sealKeys(), callbackSubject(sdkAppId));
    if (this.#callbacks.get(sdkAppId) === undefined && this.#callbacks.all().length >= MAX_CALLBACKS) {
      return { kind: "full" };
    }
    const stored = { sdkAppId, sealed, shownUrl, events, changedAtMs: Date.now(), changedBy: by.secretId };
    const detail = `${shownUrl}, events ${events}`;
    this.#change(by, { action: "callback.set", subject: String(sdkAppId), sdkAppIds: [sdkAppId], detail }, () =>
      this.#callbacks.put(stored),
    );
    return { kind: "added", value: showCallback(stored) };
  }

  /** Removes the callback of an application. Returns false if the application has no callback. */
  removeCallback(by: Actor, sdkAppId: number): boolean {
    const before = this.#callbacks.get(sdkAppId);
    if (before === undefined) return false;
    const change = { subject: String(sdkAppId), sdkAppIds: [sdkAppId], detail: showCallback(before).Url };
    this.#change(by, { action: "callback.remove", ...change }, () => this.#callbacks.remove(sdkAppId));
    return true;
  }

  /**
   * Writes the audit line for draining a worker or putting it back into service. The worker's region stores the state
   * itself.
   */
  noteDrain(by: Actor, workerId: string, drained: boolean): void {
    const action = drained ? "worker.drain" : "worker.undrain";
    this.#audit.append(by, { action, subject: workerId, sdkAppIds: "*", detail: "" }, Date.now());
  }

  audit(reader: Actor, query: AuditQuery): AuditList["lines"] {
    return this.#audit.lines(reader, query);
  }

  /** Writes a change and its audit line together or not at all. */
  #change(by: Actor, change: Change, write: (nowMs: number) => void): void {
    const nowMs = Date.now();
    this.ctx.storage.transactionSync(() => {
      write(nowMs);
      this.#audit.append(by, change, nowMs);
      this.ctx.storage.kv.put("version", crypto.randomUUID());
    });
  }

  #visible(by: Actor, secretId: string): StoredCredential | undefined {
    const credential = this.#credentials.get(secretId);
    return credential !== undefined && covers(by.sdkAppIds, credential.sdkAppIds) ? credential : undefined;
  }

  #version(): string {
    return this.ctx.storage.kv.get<string>("version") ?? "none";
  }

  async #newKey(secretId: string): Promise<{ secretKey: string; sealed: string }> {
    const secretKey = crypto.getRandomValues(new Uint8Array(24)).toBase64({ alphabet: "base64url" });
    return { secretKey, sealed: await seal(secretKey, this.#sealKeys(), credentialSubject(secretId)) };
  }

  /** Seals everything again if SEAL_KEY has a new first key, so that the older key can be removed. */
  async #sealAnew(): Promise<void> {
    const keys = this.#sealKeys();
    const [mark] = await fingerprints("keyring", keys);
    const { kv } = this.ctx.storage;
    if (kv.get<string>("sealedWith") === mark) return;
    for (const credential of this.#credentials.all()) {
      const subject = credentialSubject(credential.secretId);
      const anew = async (key: SealedKey) => ({ ...key, sealed: await sealedAnew(key.sealed, keys, subject) });
      this.#credentials.put({ ...credential, keys: await Promise.all(credential.keys.map(anew)) });
    }
    for (const callback of this.#callbacks.all()) {
      const sealed = await sealedAnew(callback.sealed, keys, callbackSubject(callback.sdkAppId));
      this.#callbacks.put({ ...callback, sealed });
    }
    kv.put("sealedWith", mark);
    kv.put("version", crypto.randomUUID());
  }

  #sealKeys(): SealKeys {
    return readConfig(this.env).sealKeys;
  }
}

/**
 * Seals a value again if it is sealed with an older key. A value that cannot be opened stays unchanged, because its key
 * may come back.
 */
async function sealedAnew(sealed: string, keys: SealKeys, subject: string): Promise<string> {
  try {
    const { value, stale } = await openSealed(sealed, keys, subject);
    return stale ? await seal(value, keys, subject) : sealed;
  } catch (thrown) {
    console.error("not sealed again", { subject, thrown: String(thrown) });
    return sealed;
  }
}
