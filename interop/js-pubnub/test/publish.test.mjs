// protocols/pubnub.md §3, §4 and §7.1: what is published is what is fetched.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect, freshChannel } from '../clients.mjs';
import { Program } from '../program.mjs';

let program, client;
before(async () => {
  program = await Program.start();
  client = connect(program, 'ann');
});
after(async () => {
  client.stop();
  await program.stop();
});

async function fetched(channel, options = {}) {
  const answer = await client.fetchMessages({ channels: [channel], count: 100, ...options });
  return Object.values(answer.channels)[0] ?? [];
}

test('time is a timetoken', async () => {
  const { timetoken } = await client.time();
  assert.equal(String(timetoken).length, 17);
});

const PAYLOADS = {
  object: { text: 'hi', nested: { list: [1, 2.5, -3] } },
  array: [1, 'two', null, true],
  string: 'plain "quoted" text',
  number: 42.5,
  true: true,
  'empty object': {},
  'awkward characters': { text: 'a/b?c=d&e#f%20g+h \\ \n\t emoji 🎉 ünïcödé' },
};

for (const sendByPost of [false, true]) {
  for (const [name, message] of Object.entries(PAYLOADS)) {
    test(`a payload comes back as it was: ${name}, ${sendByPost ? 'POST' : 'GET'}`, async () => {
      const channel = freshChannel();
      const { timetoken } = await client.publish({ channel, message, sendByPost });
      const [found] = await fetched(channel);
      assert.deepEqual(found.message, message);
      assert.equal(found.timetoken, timetoken);
      assert.equal(found.uuid, 'ann');
    });
  }
}

for (const name of ['with space', 'per%cent', 'pl+us', 'sl/ash', 'ha#sh', 'emoji 🎉', 'quest?ion', "it's(a)*!~", 'a:b|c']) {
  test(`a channel may be called ${name}`, async () => {
    const channel = `${name} ${process.pid}`;
    await client.publish({ channel, message: 1 });
    await client.publish({ channel, message: 2, sendByPost: true });
    const found = await fetched(channel);
    assert.deepEqual(found.map((item) => item.message), [1, 2]);
    const listed = await client.history({ channel, count: 10 });
    assert.deepEqual(listed.messages.map((item) => item.entry), [1, 2]);
  });
}

test('meta and the message type come back', async () => {
  const channel = freshChannel();
  await client.publish({ channel, message: 'x', meta: { language: 'en', level: 3 } });
  await client.publish({ channel, message: 'y' });
  const found = await fetched(channel, { includeMeta: true, includeMessageType: true, includeUUID: true });
  assert.deepEqual(found.map((item) => item.meta), [{ language: 'en', level: 3 }, undefined]);
  assert.deepEqual(found.map((item) => item.messageType), [null, null]);
});

test('what is not to be stored is not', async () => {
  const channel = freshChannel();
  await client.publish({ channel, message: 'gone', storeInHistory: false });
  await client.fire({ channel, message: 'fired' });
  await client.signal({ channel, message: 'signalled' });
  await client.publish({ channel, message: 'kept', storeInHistory: true, ttl: 10 });
  assert.deepEqual((await fetched(channel)).map((item) => item.message), ['kept']);
});

test('a large message is refused by GET and by POST', async () => {
  for (const sendByPost of [false, true]) {
    const message = Array.from({ length: 40_000 }, () => Math.floor(Math.random() * 36).toString(36)).join('');
    await assert.rejects(client.publish({ channel: freshChannel(), message, sendByPost }), (error) => {
      assert.ok(error.status.statusCode >= 400, JSON.stringify(error.status));
      return true;
    });
  }
});

test('a signal has at most 64 bytes', async () => {
  await assert.rejects(client.signal({ channel: freshChannel(), message: 'x'.repeat(63) }), (error) => {
    assert.equal(error.status.statusCode, 400);
    assert.match(JSON.stringify(error.status.errorData), /Signal size too large/);
    return true;
  });
});

test('unknown keys are refused', async () => {
  const stranger = connect(program, 'eve', { publishKey: 'pub-c-unknown' });
  await assert.rejects(stranger.publish({ channel: 'a', message: 1 }), (error) => error.status.statusCode === 400);
  const lost = connect(program, 'eve', { subscribeKey: 'sub-c-unknown' });
  await assert.rejects(lost.publish({ channel: 'a', message: 1 }), (error) => error.status.statusCode === 400);
  stranger.stop();
  lost.stop();
});
