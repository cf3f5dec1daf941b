// As tests/bench/peers/program.py, for queues of Node: the same arguments, answers and marks.

import { openSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export const { BENCH_DATABASE_URL: DATABASE_URL, BENCH_REDIS_URL: REDIS_URL } = process.env;
export const CONCURRENCY = 8;
const FILL = 1000;

/** Note that a job has started: its number, and nanoseconds of the clock that all processes of a machine share. */
export function openMarks() {
  const file = openSync(process.env.BENCH_MARKS, "a");
  return (number) => {
    const mark = Buffer.alloc(16);
    mark.writeBigInt64LE(BigInt(number), 0);
    mark.writeBigInt64LE(process.hrtime.bigint(), 8);
    writeSync(file, mark);
  };
}

/** Do what the arguments say. `open` connects and returns {one, many, close}. */
export async function runProgram(open, role, first, count, aSecond) {
  const queue = await open();
  const times = role === "fill" ? await together(queue.many, first, count) : await oneByOne(queue.one, first, count, aSecond);
  console.log(JSON.stringify(times));
  await queue.close();
}

async function oneByOne(enqueue, first, count, aSecond) {
  const began = process.hrtime.bigint();
  const returned = [];
  for (let place = 0; place < count; place += 1) {
    if (aSecond) await sleep(Math.max(0, Number(began - process.hrtime.bigint()) / 1e6 + (1000 * place) / aSecond));
    await enqueue(first + place);
    returned.push(process.hrtime.bigint());
  }
  return { began_ns: Number(began), returned_ns: returned.map(Number) };
}

async function together(enqueue, first, count) {
  const began = process.hrtime.bigint();
  const returned = [];
  for (let start = 0; start < count; start += FILL) {
    const numbers = Array.from({ length: Math.min(FILL, count - start) }, (_, place) => first + start + place);
    await enqueue(numbers);
    const now = process.hrtime.bigint();
    returned.push(...numbers.map(() => now));
  }
  return { began_ns: Number(began), returned_ns: returned.map(Number) };
}
