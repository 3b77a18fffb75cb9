// Starts the program on an empty folder and a free port, and says how to call the project that the tests use.
'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');

/** How long anything that a test waits for may take. */
const PATIENCE_MS = 15000;

const APP_ID = '970CA35de60c44645bbae8a215061b33';
const CERTIFICATE = '5CFd2fd1755d40ecb72977518be15d3b';
const SECONDARY = '00112233445566778899aabbccddeeff';
const OTHER_APP_ID = '0123456789abcdef0123456789abcdef';
const NATIVE_KEY = 'native-agora';
const BASIC = `Basic ${Buffer.from('me:secret').toString('base64')}`;

const CONFIG = `
[[app]]
name = "agora"
share_open = true
[[app.key]]
secret = "${NATIVE_KEY}"
may = ["read", "write", "delete", "admin"]
[app.pubnub]
publish_key = "pub-agora"
subscribe_key = "sub-agora"
[app.agora]
app_id = "${APP_ID}"
certificate = "${CERTIFICATE}"
secondary_certificate = "${SECONDARY}"
customer_key = "me"
customer_secret = "secret"
history_rate = "unlimited"
send_rate = "unlimited"
events_rate = "unlimited"

[[app]]
name = "other"
[app.agora]
app_id = "${OTHER_APP_ID}"
certificate = "${CERTIFICATE}"
`;

class Program {
  static async start() {
    const program = new Program();
    program.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'scrollback-'));
    fs.writeFileSync(path.join(program.folder, 'scrollback.toml'), CONFIG);
    await program.run('127.0.0.1:0');
    return program;
  }

  async run(listen) {
    const config = path.join(this.folder, 'scrollback.toml');
    const data = path.join(this.folder, 'data');
    this.child = spawn(process.env.SCROLLBACK_BIN, ['serve', '--config', config, '--listen', listen, '--data', data], {
      stdio: ['ignore', 'pipe', process.env.SCROLLBACK_LOG ? 'inherit' : 'ignore'],
    });
    const [line] = await within(once(readline.createInterface({ input: this.child.stdout }), 'line'), 'the program');
    this.address = line.match(/127\.0\.0\.1:\d+/)[0];
    this.origin = `http://${this.address}`;
    this.base = `${this.origin}/dev/v2/project/${APP_ID}`;
  }

  async end(signal) {
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    await within(exited, 'the end of the program');
  }

  /** Ends it without warning and starts it again on the same folder and port. */
  async killAndRestart() {
    await this.end('SIGKILL');
    await this.run(this.address);
  }

  async stop() {
    await this.end('SIGTERM');
    fs.rmSync(this.folder, { recursive: true });
  }

  /** A call as the customer; the answer with its status. */
  async call(method, call, body) {
    const answer = await fetch(this.base + call, {
      method,
      headers: { authorization: BASIC, 'content-type': 'application/json;charset=utf-8' },
      body: body && JSON.stringify(body),
    });
    return { status: answer.status, ...(await answer.json()) };
  }

  /** Sends to a channel, or to a user, to be kept. */
  async send(sender, to, payload) {
    const call = to.channel_name ? 'channel_messages' : 'peer_messages';
    const body = { ...to, payload, enable_historical_messaging: true };
    const sent = await this.call('POST', `/rtm/users/${encodeURIComponent(sender)}/${call}`, body);
    if (sent.code !== 'message_sent') {
      throw new Error(JSON.stringify(sent));
    }
    return sent;
  }
}

/** A promise that must come true soon. */
function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

module.exports = { Program, APP_ID, BASIC, CERTIFICATE, NATIVE_KEY, OTHER_APP_ID, SECONDARY, within };
