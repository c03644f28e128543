import { randomUUID } from "node:crypto";
import { parseAddressPolicy, seatOf, secretsOf } from "@roomcast/shared";
import type { Logger } from "pino";
import { createTaskLogger } from "./base/logger.ts";
import { settledWithin } from "./base/settled-within.ts";
import type { WorkerConfig } from "./config.ts";
import { CpuMeter } from "./cpu/cpu-meter.ts";
import { Egress } from "./egress/egress.ts";
import { Confirmations } from "./link/confirmations.ts";
import { EdgeLink, type LinkEnd } from "./link/edge-link.ts";
import { Outbox } from "./link/outbox.ts";
import { type MetricsServer, startMetricsServer } from "./metrics.ts";
import { MeteredPublisher } from "./publisher/metered-publisher.ts";
import { PipelineMemory } from "./publisher/pipeline-memory.ts";
import { RtmpPublisher } from "./publisher/rtmp-publisher.ts";
import { trtcPushUrls } from "./publisher/trtc-push-address.ts";
import { ProgressStore } from "./redis-progress/progress-store.ts";
import { SessionsBySeat } from "./seat/sessions-by-seat.ts";
import type { MediaTools } from "./source/ffmpeg/media-tools.ts";
import { SourceFactory } from "./source/open/open-source.ts";
import { wishesOf } from "./source/plan/output-wishes.ts";
import { TaskHost } from "./task/task-host.ts";

/**
 * A source that gives nothing for this long counts as lost, ms. It is longer than the limits by which sources notice a
 * loss themselves.
 */
const SOURCE_SILENCE_MS = 15_000;
/** How long a leaving worker waits for the edge to store the ends of its tasks. */
const LAST_WORDS_MS = 3_000;

export interface StartWorkerOptions {
  readonly config: WorkerConfig;
  readonly tools: MediaTools;
  readonly version: string;
  readonly log: Logger;
}

/** A running worker: its tasks, its link to the edge, and what both depend on. */
export interface Worker {
  /**
   * Resolves when the link has ended and will not reconnect: after `leave`, or because the edge speaks another
   * protocol.
   */
  readonly linkEnded: Promise<LinkEnd>;
  /** Hands all tasks over within the time limit, then ends. */
  leave(reason: string, limitMs: number): Promise<void>;
  /** Ends at once, even while the worker leaves. Idempotent; resolves when everything is closed. */
  stop(reason: string): Promise<void>;
}

/** Builds a worker and starts it. */
export async function startWorker(options: StartWorkerOptions): Promise<Worker> {
  const { config, tools, version, log } = options;
  const egress = new Egress({ policy: parseAddressPolicy(config.allowHosts) });
  const sources = await SourceFactory.start({ egress, tools });
  const progress = new ProgressStore({
    resolve: (hostname) => egress.resolve(hostname),
    timeoutMs: config.redisTimeoutMs,
  });
  const cpu = new CpuMeter();
  const outbox = new Outbox();
  const confirmations = new Confirmations();
  const rooms = new SessionsBySeat();
  const pipelines = new PipelineMemory();
  const media = { videoMessages: 0, audioMessages: 0, payloadBytes: 0 };
  const tasks = new TaskHost({
    capacityUnits: config.capacityUnits,
    news: outbox,
    createTaskLog: ({ ref, request, onLine }) =>
      createTaskLogger({
        level: config.logLevel,
        ...ref,
        sdkAppId: request.SdkAppId,
        room: seatOf(request).room.id,
        secrets: secretsOf(request),
        onLine,
      }),
    parts: {
      openProgress: (task) => progress.open(task),
      openSource: ({ request, source, signal, log: taskLog }) => {
        const { volume, tempo, audioTrack, maxHeight } = source;
        return sources.open({
          url: source.url,
          live: request.Mode === "live",
          startAtMs: source.startAtMs,
          returns: source.returns,
          signal,
          log: taskLog,
          ...wishesOf({ ...request, Volume: volume, Tempo: tempo, AudioTrack: audioTrack }),
          maxHeight,
          ...source.format,
        });
      },
      createPublisher: (request, taskLog) => {
        const { hosts, chunkBytes } = config.rtmp;
        const { UserSig: userSig, PrivateMapKey: privateMapKey } = request;
        const urls = trtcPushUrls({
          hosts,
          seat: seatOf(request),
          userSig,
          ...(privateMapKey === undefined ? {} : { privateMapKey }),
        });
        return new MeteredPublisher(new RtmpPublisher({ ...urls, chunkBytes, memory: pipelines, log: taskLog }), media);
      },
      enterRoom: (seat, stay) => rooms.enter(seat, stay),
      untilConfirmed: (ref, signal) => confirmations.until(ref, signal),
      defaults: { reconnectBudgetMs: config.reconnectBudgetMs, sourceSilenceMs: SOURCE_SILENCE_MS },
    },
  });
  const link = new EdgeLink({
    edgeUrl: config.edgeUrl,
    workerToken: config.workerToken,
    identity: { workerId: config.workerId, instanceId: randomUUID(), region: config.region, version },
    tasks,
    cpu,
    outbox,
    confirmations,
    log,
  });
  let metrics: MetricsServer | undefined;
  if (config.metrics !== null) {
    metrics = await startMetricsServer({ ...config.metrics, measured: { tasks, cpu, link, media, outbox, progress } });
    log.info({ host: config.metrics.host, port: metrics.port }, "metrics are served");
  }
  cpu.start();
  const linkEnded = link.run();

  const close = async (): Promise<void> => {
    await link.stop();
    await Promise.all([cpu.stop(), progress.stop(), metrics?.stop(), sources.close()]);
    await egress.close();
  };
  let closing: Promise<void> | undefined;
  return {
    linkEnded,
    async leave(reason, limitMs) {
      link.announceDraining(reason);
      await tasks.drain(reason, limitMs);
      await settledWithin(outbox.delivered(), Math.min(limitMs, LAST_WORDS_MS));
      await (closing ??= close());
    },
    async stop(reason) {
      await tasks.stopNow(reason);
      await (closing ??= close());
    },
  };
}
