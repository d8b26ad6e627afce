// A plugin in JavaScript with nothing but NATS' own libraries: !js adds up the numbers that people give it, and counts
// the calls of each person in its keys. It reads the environment that the operator gives to a plugin.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connect, credsAuthenticator } from "@nats-io/transport-node";
import { ServiceError, Svcm } from "@nats-io/services";

const { ROSEY_NATS_URL, ROSEY_NATS_CREDENTIALS_DIR, ROSEY_NATS_SUBJECT_PREFIX, ROSEY_PLUGIN_NAME } = process.env;
const prefix = ROSEY_NATS_SUBJECT_PREFIX;
const plugin = ROSEY_PLUGIN_NAME;
const channel = process.env.ROSEY_CHANNEL_NAME.toLowerCase();
// A "_" and a "-" of the channel are written in another way, so that no two plugins have one name.
const service = [prefix, channel.replaceAll("-", "--").replaceAll("_", "-u"), plugin].join("_");
const tree = `${prefix}.plugin.${channel}.${plugin}`;
const keys = `${prefix}.db.kv.${channel}.${plugin}`;

function login(dir) {
  const read = (name) => readFileSync(join(dir, name));
  try {
    return { authenticator: credsAuthenticator(read("nats.creds")) };
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    return { user: read("username").toString().trim(), pass: read("password").toString().trim() };
  }
}

const nc = await connect({
  servers: ROSEY_NATS_URL.split(","),
  name: `rosey plugin ${plugin}`,
  inboxPrefix: `_INBOX_${prefix}_plugin_${channel}_${plugin}`, // the plugin's user may subscribe to no other
  maxReconnectAttempts: -1,
  ...login(ROSEY_NATS_CREDENTIALS_DIR),
});

// A plugin may be discovered under its own name alone. The library subscribes to $SRV.PING, $SRV.INFO and $SRV.STATS as
// well, and ends the service when the server refuses that: here they get a subject of the plugin's own instead.
const directed = new Proxy(nc, {
  get(target, property) {
    if (property !== "subscribe") {
      const value = target[property];
      return typeof value === "function" ? value.bind(target) : value;
    }
    return (subject, options) => target.subscribe(/^\$SRV\.\w+$/.test(subject) ? `${subject}.${service}.all` : subject, options);
  },
});

async function ask(operation, request) {
  const reply = (await nc.request(`${keys}.${operation}`, JSON.stringify(request), { timeout: 2000 })).json();
  if (!reply.success) throw new Error(`${operation}: ${reply.error.code}: ${reply.error.message}`);
  return reply.data;
}

async function sum(call) {
  const numbers = call.args.split(/\s+/).filter(Boolean).map(Number);
  if (numbers.length === 0 || numbers.some(Number.isNaN)) throw new ServiceError(400, "expected numbers, such as 1 2.5");
  const { value } = await ask("add", { key: `calls/${call.user.name}`, by: 1 });
  return { lines: [`${numbers.reduce((a, b) => a + b)} (call ${value} of ${call.user.name})`] };
}

function answer(error, message) {
  // Whoever may call a plugin must not have it publish where they may not themselves.
  if (error || !/^(_INBOX[_.]|_R_[.]|_GR_[.])/.test(message.reply)) return;
  sum(message.json())
    .then((reply) => message.respond(JSON.stringify(reply)))
    .catch((failure) => message.respondError(failure.code ?? 500, failure.message, ""));
}

const running = await new Svcm(directed).add({ name: service, version: "1.0.0", queue: plugin });
const command = { name: "js", usage: "NUMBER…", help: "adds numbers", examples: ["js 1 2"], cooldown: {} };
running.addEndpoint("js", {
  subject: `${tree}.in.call.js`,
  metadata: { "rosey.dev/command": JSON.stringify(command) },
  handler: answer,
});
await nc.flush(); // the server has the subscriptions

const hello = JSON.stringify({ id: running.info().id });
nc.publish(`${tree}.out.hello`, hello);
console.log(`serving as ${service}`);

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    nc.publish(`${tree}.out.bye`, hello);
    nc.drain();
  });
}
const problem = (await running.stopped) ?? (await nc.closed());
if (problem) {
  console.error(problem.message);
  process.exitCode = 1;
}
