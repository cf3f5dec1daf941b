// graphile-worker: jobs in PostgreSQL, fetched and ended one by one or, with "batches", many at a time.

import { Logger, makeWorkerUtils, run, runMigrations } from "graphile-worker";

import { CONCURRENCY, DATABASE_URL, openMarks } from "./program.mjs";

const connectionString = DATABASE_URL;
const logger = new Logger(() => () => {}); // a line a job costs more than the job

// As its authors configure it to measure it.
const BATCHES = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0, concurrentJobs: 24 };

export async function prepare() {
  await runMigrations({ connectionString });
}

export async function open() {
  const utils = await makeWorkerUtils({ connectionString, logger });
  return {
    one: (number) => utils.addJob("noop", { number }),
    many: (numbers) => utils.addJobs(numbers.map((number) => ({ identifier: "noop", payload: { number } }))),
    close: () => utils.release(),
  };
}

export async function work(variant) {
  const mark = openMarks();
  await run({
    preset: { worker: { connectionString, logger, concurrentJobs: CONCURRENCY, ...(variant === "batches" && BATCHES) } },
    taskList: { noop: async ({ number }) => mark(number) },
  });
}
