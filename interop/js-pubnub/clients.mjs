// Clients of the program, and ways to wait for what they hear.

import PubNub from 'pubnub';
import { KEYS, PATIENCE_MS } from './program.mjs';

// The client leaves timers running when it is stopped; they must not keep a finished test from ending.
const { setInterval } = globalThis;
globalThis.setInterval = (...parameters) => setInterval(...parameters).unref();

/** A client without the secret key unless it is given. */
export function connect(program, userId, options = {}) {
  const { publishKey, subscribeKey } = KEYS;
  return new PubNub({ origin: program.origin, ssl: false, publishKey, subscribeKey, userId, restore: true, ...options });
}

/** Everything a client hears, in order, with waiting bounded. */
export class Ear {
  constructor(client) {
    this.heard = { message: [], signal: [], presence: [], messageAction: [], file: [], status: [] };
    this.waiting = new Set();
    const listener = {};
    for (const kind of Object.keys(this.heard)) {
      listener[kind] = (event) => {
        this.heard[kind].push(event);
        for (const check of [...this.waiting]) check();
      };
    }
    client.addListener(listener);
  }

  /** The events of a kind once there are `count` that fit. */
  async events(kind, count = 1, fits = () => true) {
    const found = () => this.heard[kind].filter(fits);
    await new Promise((resolve, reject) => {
      const tooLate = setTimeout(() => {
        this.waiting.delete(check);
        reject(new Error(`waited for ${count} of ${kind}, heard ${JSON.stringify(this.heard[kind])}`));
      }, PATIENCE_MS);
      const check = () => {
        if (found().length < count) return;
        clearTimeout(tooLate);
        this.waiting.delete(check);
        resolve();
      };
      this.waiting.add(check);
      check();
    });
    return found();
  }

  async connected(count = 1) {
    await this.events('status', count, (status) => status.category === 'PNConnectedCategory');
  }
}

let channels = 0;

/** A channel that no other test uses. */
export function freshChannel(prefix = 'channel') {
  channels += 1;
  return `${prefix}-${process.pid}-${channels}`;
}

/** Publishes one after the other and returns the timetokens. */
export async function publishAll(client, channel, messages) {
  const tokens = [];
  for (const message of messages) tokens.push((await client.publish({ channel, message })).timetoken);
  return tokens;
}
