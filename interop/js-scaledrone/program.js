// Starts the program on an empty folder and a free port; the channels that the tests use; tokens; waiting.
'use strict';

const { spawn } = require('node:child_process');
const { createHmac } = require('node:crypto');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');

const OPEN = { id: 'JsOpen0000000001', secret: 'js-open-secret' };
const GUARDED = { id: 'JsGuarded0000001', secret: 'js-guarded-secret' };
const QUIET = { id: 'JsQuiet000000001', secret: 'js-quiet-secret' };

const HISTORY = 'history = { messages = 100, age = "30d" }';
const channel = ({ id, secret }, settings) =>
  `[[app]]\nname = "${id}"\n[app.scaledrone]\nchannel = "${id}"\nsecret = "${secret}"\n${settings}\n`;
const CONFIG =
  channel(OPEN, `${HISTORY}\n[[app.scaledrone.room]]\nname = "no-history-*"`) +
  channel(GUARDED, `require_auth = true\n${HISTORY}`) +
  channel(QUIET, '');

// One program with its folder; it can be killed and started again on the same port.
class Program {
  static async start() {
    const program = new Program();
    program.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'scrollback-'));
    fs.writeFileSync(path.join(program.folder, 'scrollback.toml'), CONFIG);
    await program.run('127.0.0.1:0');
    return program;
  }

  async run(listen) {
    const data = path.join(this.folder, 'data');
    const config = path.join(this.folder, 'scrollback.toml');
    const binary = process.env.SCROLLBACK_BIN;
    this.child = spawn(binary, ['serve', '--config', config, '--listen', listen, '--data', data], {
      stdio: ['ignore', 'pipe', process.env.SCROLLBACK_LOG ? 'inherit' : 'ignore'],
    });
    const [line] = await within(once(readline.createInterface({ input: this.child.stdout }), 'line'), 'the program');
    this.address = line.match(/127\.0\.0\.1:\d+/)[0];
    this.url = `ws://${this.address}/v3/websocket`;
    this.baseURL = `http://${this.address}`;
  }

  async end(signal) {
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    await within(exited, 'the end of the program');
  }

  async restart(signal) {
    await this.end(signal);
    await this.run(this.address);
  }

  async stop() {
    await this.end('SIGTERM');
    fs.rmSync(this.folder, { recursive: true });
  }
}

// A client of the vendor. Its promises are its own affair: one that fails is also told as an event, which the tests
// look at, and must not end the test run as an unhandled rejection.
function connect(Scaledrone, program, channel, data) {
  const drone = new Scaledrone(channel.id, { url: program.url, data });
  Object.values(drone.eventPromises).forEach((promise) => promise.catch(() => {}));
  return drone;
}

// A promise that must come true soon.
function within(promise, what, ms = 15000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// The next event of a drone or a room, which may be an error: those come as rejections where they are awaited.
function next(emitter, event) {
  const come = new Promise((resolve) => emitter.once(event, resolve));
  return within(come, event);
}

async function opened(emitter) {
  const error = await next(emitter, 'open');
  if (error) {
    throw error;
  }
  return emitter;
}

// Everything that events bring from now on, and waiting for so many of them.
class Seen {
  constructor(emitter, ...events) {
    this.list = [];
    for (const event of events) {
      emitter.on(event, (value) => {
        this.list.push({ event, value });
        this.wake?.();
      });
    }
  }

  async atLeast(count) {
    const enough = async () => {
      while (this.list.length < count) {
        await new Promise((resolve) => (this.wake = resolve));
      }
    };
    await within(enough(), `${count} events (now ${this.list.length})`);
    return this.list;
  }

  async until(data) {
    while (!this.data.includes(data)) {
      await this.atLeast(this.list.length + 1);
    }
  }

  get data() {
    return this.list.map(({ value }) => value.data);
  }
}

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function token(channel, claims) {
  const exp = Math.floor(Date.now() / 1000) + 60;
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ channel: channel.id, exp, ...claims })}`;
  return `${signed}.${createHmac('sha256', channel.secret).update(signed).digest('base64url')}`;
}

async function publish(program, channel, room, message) {
  const credentials = Buffer.from(`${channel.id}:${channel.secret}`).toString('base64');
  const answer = await fetch(`${program.baseURL}/${channel.id}/${room}/publish`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Basic ${credentials}` },
    body: JSON.stringify(message),
  });
  if (answer.status !== 200) {
    throw new Error(`${answer.status} ${await answer.text()}`);
  }
}

module.exports = { Program, OPEN, GUARDED, QUIET, Seen, connect, next, opened, publish, token, within };
