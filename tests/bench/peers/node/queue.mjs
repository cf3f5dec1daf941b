// node queue.mjs graphile-worker|bullmq enqueue|fill|prepare|work ...

import { runProgram } from "./program.mjs";

const [name, role, ...rest] = process.argv.slice(2);
// The connections of one would keep the process of the other from ending.
const queue = await { bullmq: () => import("./bullmq.mjs"), "graphile-worker": () => import("./graphile_worker.mjs") }[name]();

if (role === "prepare") await queue.prepare();
else if (role === "work") await queue.work(...rest);
else await runProgram(queue.open, role, ...rest.map(Number));
