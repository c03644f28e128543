/**
 * The closed set of errors that Roomcast shows, in Tencent Cloud's taxonomy, with the HTTP status of each one and
 * whether a retry of the same request can help.
 */
interface ErrorTraits {
  readonly httpStatus: number;
  readonly retryable: boolean;
}

const fixed = (httpStatus: number): ErrorTraits => ({ httpStatus, retryable: false });
const passing = (httpStatus: number): ErrorTraits => ({ httpStatus, retryable: true });

export const ERROR_CODES = {
  InvalidParameter: fixed(400),
  InvalidParameterValue: fixed(400),
  MissingParameter: fixed(400),
  UnknownParameter: fixed(400),
  RequestSizeLimitExceeded: fixed(413),
  RequestLimitExceeded: passing(429),
  InvalidAction: fixed(400),
  NoSuchVersion: fixed(400),
  UnsupportedOperation: fixed(405),
  "AuthFailure.InvalidAuthorization": fixed(401),
  "AuthFailure.SecretIdNotFound": fixed(401),
  "AuthFailure.SignatureExpire": fixed(401),
  "AuthFailure.SignatureFailure": fixed(401),
  "AuthFailure.TokenFailure": fixed(401),
  "AuthFailure.UnauthorizedOperation": fixed(403),
  "AuthFailure.InvalidWorkerToken": fixed(401),
  "AuthFailure.InvalidUserSig": fixed(403),
  "AuthFailure.UserSigExpired": fixed(403),
  "ResourceNotFound.Task": fixed(404),
  "ResourceNotFound.Route": fixed(404),
  "ResourceNotFound.Worker": fixed(404),
  "ResourceNotFound.Credential": fixed(404),
  "ResourceNotFound.Callback": fixed(404),
  "ResourceInUse.Seat": fixed(409),
  "ResourceInUse.UserId": fixed(409),
  "ResourceInUse.IdempotencyKey": fixed(409),
  "ResourceUnavailable.TaskEnded": fixed(409),
  ResourceInsufficient: passing(503),
  LimitExceeded: passing(429),
  "FailedOperation.SourceNotFound": fixed(502),
  "FailedOperation.SourceForbidden": fixed(502),
  "FailedOperation.SourceUnreachable": passing(502),
  "FailedOperation.SourceTimeout": passing(504),
  "FailedOperation.SourceNotMedia": fixed(502),
  "FailedOperation.SourceUnsupported": fixed(502),
  "FailedOperation.SourceTruncated": passing(502),
  "FailedOperation.SourceLost": passing(502),
  "FailedOperation.RoomRefused": fixed(502),
  "FailedOperation.RoomUnreachable": passing(502),
  "FailedOperation.RoomLost": passing(502),
  "FailedOperation.RoomReplaced": fixed(409),
  "FailedOperation.RedisUnreachable": passing(502),
  "FailedOperation.RedisRefused": fixed(502),
  "FailedOperation.WorkerLost": passing(503),
  "FailedOperation.TaskQuarantined": fixed(502),
  "FailedOperation.Superseded": fixed(409),
  "FailedOperation.ExecutionTimeout": fixed(504),
  "FailedOperation.UpdateTimeout": passing(504),
  "FailedOperation.MediaEngine": passing(500),
  InternalError: passing(500),
} as const satisfies Record<string, ErrorTraits>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** One wrong field of a request, and the value that was expected. */
export interface FieldProblem {
  readonly field: string;
  readonly problem: "missing" | "invalid" | "unknown";
  readonly expected: string;
}

/** The form for transport and storage, without stack and cause. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
}

export interface RoomcastErrorOptions {
  /** The underlying error. It is for the log only and is never sent. */
  readonly cause?: unknown;
  readonly fields?: readonly FieldProblem[];
}

/** The only error type that crosses a boundary. Its message is shown to users, so it must hold no secret. */
export class RoomcastError extends Error {
  override readonly name = "RoomcastError";
  readonly code: ErrorCode;
  readonly fields: readonly FieldProblem[];

  constructor(code: ErrorCode, message: string, options: RoomcastErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fields = options.fields ?? [];
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }

  get httpStatus(): number {
    return ERROR_CODES[this.code].httpStatus;
  }

  toBody(): ErrorBody {
    return { code: this.code, message: this.message, retryable: this.retryable };
  }

  static fromBody(body: Pick<ErrorBody, "code" | "message">): RoomcastError {
    return new RoomcastError(body.code, body.message);
  }

  /**
   * Returns any thrown value as a RoomcastError. A value of another type becomes `InternalError` with its text kept in
   * `cause`.
   */
  static from(thrown: unknown): RoomcastError {
    return thrown instanceof RoomcastError
      ? thrown
      : new RoomcastError("InternalError", "Something inside Roomcast went wrong.", { cause: thrown });
  }
}
