// bullmq: jobs in Redis, moved by scripts inside of it.

import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";

import { CONCURRENCY, REDIS_URL, openMarks } from "./program.mjs";

const connection = new Redis(REDIS_URL, { maxRetriesPerRequest: null });

export async function open() {
  const queue = new Queue("noop", { connection });
  return {
    one: (number) => queue.add("noop", { number }),
    many: (numbers) => queue.addBulk(numbers.map((number) => ({ name: "noop", data: { number } }))),
    close: async () => {
      await queue.close();
      await connection.quit();
    },
  };
}

export async function work() {
  const mark = openMarks();
  const worker = new Worker("noop", async (job) => mark(job.data.number), { connection, concurrency: CONCURRENCY });
  process.once("SIGTERM", async () => {
    await worker.close();
    await connection.quit();
  });
}
