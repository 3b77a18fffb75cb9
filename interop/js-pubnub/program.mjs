// Starts the real program on an empty folder and a free port. SCROLLBACK_BIN names the binary.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';

/** How long anything that a test waits for may take. */
export const PATIENCE_MS = 15_000;

export const KEYS = { publishKey: 'pub-c-test', subscribeKey: 'sub-c-test', secretKey: 'sec-c-test' };
/** The same for a keyset that asks for rights. */
export const GUARDED_KEYS = { publishKey: 'pub-c-guarded', subscribeKey: 'sub-c-guarded', secretKey: 'sec-c-guarded' };
export const NATIVE_KEY = 'native-test';

const APPS = `
[[app]]
name = "test"
share_open = true
[[app.key]]
secret = "${NATIVE_KEY}"
may = ["read", "write", "delete", "admin"]
[app.pubnub]
publish_key = "${KEYS.publishKey}"
subscribe_key = "${KEYS.subscribeKey}"
secret_key = "${KEYS.secretKey}"
delete_from_history = true

[[app]]
name = "guarded"
[[app.key]]
secret = "native-guarded"
may = ["read", "write", "delete", "admin"]
[app.pubnub]
publish_key = "${GUARDED_KEYS.publishKey}"
subscribe_key = "${GUARDED_KEYS.subscribeKey}"
secret_key = "${GUARDED_KEYS.secretKey}"
access_manager = true
delete_from_history = true
`;

export class Program {
  /** `limits` are lines of the section `[limits]`. */
  static async start(limits = '') {
    const program = new Program();
    program.folder = await mkdtemp(path.join(tmpdir(), 'scrollback-js-'));
    await writeFile(path.join(program.folder, 'config.toml'), `[limits]\n${limits}\n${APPS}`);
    await program.run('127.0.0.1:0');
    return program;
  }

  async run(listen) {
    const binary = process.env.SCROLLBACK_BIN;
    if (!binary) throw new Error('SCROLLBACK_BIN does not name the program');
    const config = path.join(this.folder, 'config.toml');
    const data = path.join(this.folder, 'data');
    this.process = spawn(binary, ['serve', '--config', config, '--data', data, '--listen', listen], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = readline.createInterface({ input: this.process.stdout });
    const address = new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        const found = line.match(/http:\/\/(\S+)/);
        if (found) resolve(found[1]);
      });
      this.process.on('exit', (code) => reject(new Error(`the program ended with ${code}`)));
    });
    this.origin = await address;
  }

  /** Ends it without warning and starts it again on the same folder and port. */
  async killAndRestart() {
    this.process.kill('SIGKILL');
    await once(this.process, 'exit');
    await this.run(this.origin);
  }

  async stop() {
    this.process.kill('SIGTERM');
    if (this.process.exitCode === null) await once(this.process, 'exit');
    await rm(this.folder, { recursive: true });
  }
}
