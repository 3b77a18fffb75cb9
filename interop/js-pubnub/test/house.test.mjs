// One history: what comes in through the native API is PubNub's too, and the other way round. And the README's lines.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { connect, Ear, freshChannel } from '../clients.mjs';
import { NATIVE_KEY, Program } from '../program.mjs';

let program, client;
before(async () => {
  program = await Program.start();
  client = connect(program, 'ann');
});
after(async () => {
  client.unsubscribeAll();
  client.stop();
  await program.stop();
});

async function native(path, options = {}) {
  const url = `http://${program.origin}/v1/apps/test/channels/${path}`;
  const answer = await fetch(url, { headers: { authorization: `Bearer ${NATIVE_KEY}` }, ...options });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
}

test('what the native API publishes is in history and heard', async () => {
  const channel = freshChannel();
  const ear = new Ear(client);
  client.subscribe({ channels: [channel] });
  await ear.connected();
  const body = JSON.stringify({ payload: { text: 'hi' }, author: 'bob', meta: { a: 1 }, type: 'text-message' });
  const { timetoken } = await native(`${channel}/messages`, { method: 'POST', body });
  const [heard] = await ear.events('message', 1, (event) => event.channel === channel);
  assert.deepEqual([heard.message, heard.publisher, heard.userMetadata], [{ text: 'hi' }, 'bob', { a: 1 }]);
  const { channels } = await client.fetchMessages({ channels: [channel], includeMeta: true, includeUUID: true });
  const [stored] = channels[channel];
  assert.deepEqual([stored.message, stored.uuid, stored.meta], [{ text: 'hi' }, 'bob', { a: 1 }]);
  assert.equal(stored.timetoken, timetoken);
});

test('what PubNub publishes is in the native history, and an edit there shows here', async () => {
  const channel = freshChannel();
  const { timetoken } = await client.publish({ channel, message: ['x', 1], meta: { k: 'v' } });
  const { messages } = await native(`${channel}/messages?limit=10`);
  assert.equal(messages.length, 1);
  assert.deepEqual([messages[0].payload, messages[0].meta, messages[0].timetoken], [['x', 1], { k: 'v' }, timetoken]);
  const body = JSON.stringify({ payload: 'edited' });
  await native(`${channel}/messages/${messages[0].id}`, { method: 'PATCH', body });
  const { channels } = await client.fetchMessages({ channels: [channel] });
  assert.deepEqual([channels[channel][0].message, channels[channel][0].timetoken], ['edited', timetoken]);
});

test('the lines of the README work as they stand, but for the keys and the port', async () => {
  const readme = await readFile(new URL('../../../README.md', import.meta.url), 'utf8');
  const [, script] = readme.match(/```js\n(const PubNub = [\s\S]*?)```/);
  const lines = script.replaceAll("'demo'", "'KEY'").replace('127.0.0.1:7117', program.origin);
  const keyed = lines.replace("publishKey: 'KEY'", "publishKey: 'pub-c-test'").replace("'KEY'", "'sub-c-test'");
  await client.publish({ channel: 'lobby', message: 'before' });
  const printed = [];
  const console = { log: (...words) => printed.push(words) };
  const run = new Function('require', 'console', `${keyed}; return client;`);
  const started = run(createRequire(import.meta.url), console);
  const ear = new Ear(started);
  await ear.connected();
  await client.publish({ channel: 'lobby', message: 'after' });
  await ear.events('message');
  started.unsubscribeAll();
  started.stop();
  assert.deepEqual(printed.find(([when]) => when === 'now'), ['now', 'ann', 'after']);
  const [, earlier] = printed.find(([when]) => when === 'earlier');
  assert.equal(earlier[0].message, 'before');
});
