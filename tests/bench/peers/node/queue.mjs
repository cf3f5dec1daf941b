// node queue.mjs graphile-worker|bullmq enqueue|fill|prepare|work ...

import * as bullmq from "./bullmq.mjs";
import * as graphileWorker from "./graphile_worker.mjs";
import { runProgram } from "./program.mjs";

const [name, role, ...rest] = process.argv.slice(2);
const queue = { bullmq, "graphile-worker": graphileWorker }[name];

if (role === "prepare") await queue.prepare();
else if (role === "work") await queue.work(...rest);
else await runProgram(queue.open, role, ...rest.map(Number));
