// Callers of the history, as they are found in the wild, against the program.
'use strict';

const assert = require('node:assert/strict');
const { after, before, describe, test } = require('node:test');
const { RtmTokenBuilder: Builder006, RtmRole } = require('agora-access-token');
const { RtmTokenBuilder: Builder007 } = require('agora-token');
const { APP_ID, BASIC, CERTIFICATE, NATIVE_KEY, Program } = require('./program');
const { FOLLOW, browser, countThenLoop, follower, typed } = require('./readers');

let program;
before(async () => {
  program = await Program.start();
});
after(() => program.stop());

const hourAgo = () => new Date(Date.now() - 3600_000);
const inAnHour = () => new Date(Date.now() + 3600_000);
const payloads = (messages) => messages.map(({ payload }) => payload);
const numbers = (count) => Array.from({ length: count }, (_, n) => String(n));

async function fill(channel, count) {
  for (const number of numbers(count)) {
    await program.send('teacher', { channel_name: channel }, number);
  }
}

describe('a reader that counts first and then loops', () => {
  for (const count of [0, 1, 100, 101, 250]) {
    test(`gets ${count} messages, each once and in order`, async () => {
      const channel = `class-${count}`;
      await fill(channel, count);
      const messages = await countThenLoop(program.base, BASIC, channel, hourAgo(), inAnHour());
      assert.deepEqual(payloads(messages), numbers(count));
    });
  }
});

for (const [version, token] of [
  ['006', () => Builder006.buildToken(APP_ID, CERTIFICATE, 'pupil 7', RtmRole.Rtm_User, 0)],
  ['007', () => Builder007.buildToken(APP_ID, CERTIFICATE, 'pupil 7', 3600)],
]) {
  test(`a browser with a token of version ${version} asks first, then reads the whole class`, async () => {
    const channel = `browser-${version}`;
    await fill(channel, 30);
    const messages = await browser(program.base, token(), 'pupil 7', channel, hourAgo(), inAnHour());
    assert.deepEqual(payloads(messages), numbers(30));
  });

  test(`a typed reader with a token of version ${version} finds every field at the first fetch`, async () => {
    await program.send('ann', { destination: `bob-${version}` }, '{"t":1}');
    const read = (filter) => typed(program.base, token(), 'pupil 7', filter, hourAgo(), inAnHour());
    assert.deepEqual(payloads(await read({ source: 'ann', destination: `bob-${version}` })), ['{"t":1}']);
    assert.deepEqual(payloads(await read({ destination: `bob-${version}` })), ['{"t":1}']);
    assert.deepEqual(payloads(await read({ source: `bob-${version}` })), [], 'the other direction');
  });
}

for (const way of Object.keys(FOLLOW)) {
  test(`a reader that ${way} finds its page`, async () => {
    const channel = `follow-${way.length}`;
    await fill(channel, 12);
    const messages = await follower(program.base, BASIC, way, channel, hourAgo(), inAnHour());
    assert.deepEqual(payloads(messages), numbers(12).slice(2).reverse());
  });
}

test('a base with a slash at its end and calls with one at their beginning work', async () => {
  await fill('slashes', 1);
  for (const base of [`${program.base}/`, program.base.replace('/dev', '//dev')]) {
    assert.equal((await countThenLoop(base, BASIC, 'slashes', hourAgo(), inAnHour())).length, 1);
  }
});

test('both directions of a conversation come in one query, and a cursor goes on', async () => {
  for (let n = 0; n < 25; n++) {
    await program.send(n % 2 ? 'left' : 'right', { destination: n % 2 ? 'right' : 'left' }, String(n));
  }
  const filter = { between: ['left', 'right'], start_time: hourAgo().toISOString(), end_time: inAnHour().toISOString() };
  const found = [];
  let cursor = null;
  do {
    const made = await program.call('POST', '/rtm/message/history/query', { filter, limit: 10, order: 'asc', cursor });
    const page = await program.call('GET', made.location.slice(1));
    found.push(...payloads(page.messages));
    ({ cursor } = page);
  } while (cursor);
  assert.deepEqual(found, numbers(25));
});

test('messages of other dialects are found by author and by channel, and the other way round', async () => {
  const published = await fetch(`${program.origin}/publish/pub-agora/sub-agora/0/shared/0/%7B%22n%22%3A1%7D?uuid=ann`);
  assert.equal(published.status, 200);
  const native = await fetch(`${program.origin}/v1/apps/agora/channels/shared/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${NATIVE_KEY}` },
    body: JSON.stringify({ payload: 'two', author: 'ann' }),
  });
  assert.equal(native.status, 201);
  await program.send('ann', { channel_name: 'shared' }, 'three');
  const times = { start_time: hourAgo().toISOString(), end_time: inAnHour().toISOString() };
  for (const filter of [{ destination: 'shared' }, { source: 'ann', destination: 'shared' }]) {
    const made = await program.call('POST', '/rtm/message/history/query', { filter: { ...filter, ...times }, order: 'asc' });
    const { messages } = await program.call('GET', made.location.slice(1));
    assert.deepEqual(payloads(messages), ['{"n":1}', 'two', 'three']);
    assert.ok(messages.every(({ src, dst }) => src === 'ann' && dst === 'shared'));
  }
  const alone = await program.call('POST', '/rtm/message/history/query', { filter: { source: 'ann', ...times }, limit: 100 });
  const all = payloads((await program.call('GET', alone.location.slice(1))).messages);
  assert.deepEqual(all.filter((text) => ['{"n":1}', 'two', 'three'].includes(text)), ['three', 'two', '{"n":1}']);
  const there = await (await fetch(`${program.origin}/v2/history/sub-key/sub-agora/channel/shared?count=10`)).json();
  assert.deepEqual(there[0], [{ n: 1 }, 'two', 'three']);
});

test('the present API serves the same messages', async () => {
  await fill('present', 5);
  const url = `${program.origin}/rtm/v2/history/${APP_ID}/userId/ann/channelType/message/channel/present`;
  const headers = { authorization: `agora token=${Builder007.buildToken(APP_ID, CERTIFICATE, 'ann', 3600)}` };
  const found = [];
  let start = 0;
  do {
    const answer = await (await fetch(`${url}?start=${start}&messageCount=2`, { headers })).json();
    assert.equal(answer.errorCode, 200);
    found.push(...answer.data.messageList.map(({ message }) => message));
    start = answer.data.newStart;
  } while (start !== 0);
  assert.deepEqual(found, numbers(5).reverse());
});

test('what was answered survives a kill; so do handles, and that they were used', async () => {
  await fill('killed', 20);
  const filter = { destination: 'killed', start_time: hourAgo().toISOString(), end_time: inAnHour().toISOString() };
  const make = async () => (await program.call('POST', '/rtm/message/history/query', { filter, order: 'asc' })).location.slice(1);
  const [used, unused] = [await make(), await make()];
  assert.equal((await program.call('GET', used)).messages.length, 20);
  await program.killAndRestart();
  assert.equal((await program.call('GET', used)).status, 410);
  assert.deepEqual(payloads((await program.call('GET', unused)).messages), numbers(20));
  assert.equal((await program.call('GET', unused)).status, 410);
});
