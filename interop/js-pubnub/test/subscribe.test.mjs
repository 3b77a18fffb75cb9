// protocols/pubnub.md §5: what subscribers hear.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { connect, Ear, freshChannel, publishAll } from '../clients.mjs';
import { Program } from '../program.mjs';

let program, publisher;
const open = [];
before(async () => {
  program = await Program.start();
  publisher = connect(program, 'publisher');
});
afterEach(() => {
  for (const client of open.splice(0)) {
    client.unsubscribeAll();
    client.stop();
  }
});
after(async () => {
  publisher.stop();
  await program.stop();
});

async function subscriber(subscription, options = {}) {
  const client = connect(program, `subscriber-${open.length}`, options);
  open.push(client);
  const ear = new Ear(client);
  client.subscribe(subscription);
  await ear.connected();
  return { client, ear };
}

for (const enableEventEngine of [false, true]) {
  const kind = enableEventEngine ? 'event engine' : 'subscription loop';

  test(`messages and signals are heard once, in order (${kind})`, async () => {
    const channel = freshChannel();
    const { ear } = await subscriber({ channels: [channel] }, { enableEventEngine });
    const sent = await publishAll(publisher, channel, Array.from({ length: 20 }, (_, index) => ({ index })));
    await publisher.signal({ channel, message: 'typing' });
    const heard = await ear.events('message', 20);
    assert.deepEqual(heard.map((event) => event.timetoken), sent);
    assert.deepEqual(heard.map((event) => event.message.index), Array.from({ length: 20 }, (_, index) => index));
    assert.equal(heard[0].publisher, 'publisher');
    assert.equal(heard[0].channel, channel);
    const [signal] = await ear.events('signal');
    assert.equal(signal.message, 'typing');
    assert.equal(ear.heard.message.length, 20);
  });

  test(`a wildcard hears what is below it (${kind})`, async () => {
    const root = freshChannel('root');
    const { ear } = await subscriber({ channels: [`${root}.*`] }, { enableEventEngine });
    await publisher.publish({ channel: `${root}.a`, message: 1 });
    await publisher.publish({ channel: `${root}`, message: 'not heard' });
    await publisher.publish({ channel: `${root}.a.b`, message: 2 });
    const heard = await ear.events('message', 2);
    assert.deepEqual(heard.map((event) => event.message), [1, 2]);
    assert.deepEqual(heard.map((event) => event.channel), [`${root}.a`, `${root}.a.b`]);
    assert.equal(heard[0].subscription, `${root}.*`);
  });

  test(`a filter lets through what fits (${kind})`, async () => {
    const channel = freshChannel();
    const filterExpression = "uuid != 'me' && (('admin','super-user') contains role) && age >= 32";
    const { ear } = await subscriber({ channels: [channel] }, { enableEventEngine, filterExpression });
    const send = (message, meta) => publisher.publish({ channel, message, meta });
    await send('no meta');
    await send('too young', { uuid: 'you', role: 'admin', age: 31 });
    await send('own', { uuid: 'me', role: 'admin', age: 40 });
    await send('fits', { uuid: 'you', role: 'admin', age: 32 });
    const heard = await ear.events('message');
    assert.deepEqual(heard.map((event) => event.message), ['fits']);
    assert.deepEqual(heard[0].userMetadata, { uuid: 'you', role: 'admin', age: 32 });
  });

  test(`what was published while away is caught up (${kind})`, async () => {
    const channel = freshChannel();
    const { client, ear } = await subscriber({ channels: [channel] }, { enableEventEngine });
    await publisher.publish({ channel, message: 'before' });
    await ear.events('message', 1);
    client.disconnect();
    const away = Array.from({ length: 150 }, (_, index) => index + 1);
    await publishAll(publisher, channel, away);
    client.reconnect();
    await publisher.publish({ channel, message: 'after' });
    const heard = await ear.events('message', 152);
    assert.deepEqual(heard.map((event) => event.message), ['before', ...away, 'after']);
  });
}

test('names with awkward characters are heard', async () => {
  for (const name of ['with space', 'per%cent', 'pl+us', 'sl/ash', 'ha#sh', 'emoji 🎉']) {
    const channel = freshChannel(name);
    const { ear } = await subscriber({ channels: [channel, 'other'] });
    await publisher.publish({ channel, message: name });
    assert.equal((await ear.events('message'))[0].channel, channel);
  }
});

test('catching up from any timetoken reaches back into history', async () => {
  const channel = freshChannel();
  const tokens = await publishAll(publisher, channel, [1, 2, 3]);
  const { ear } = await subscriber({ channels: [channel], timetoken: tokens[0] });
  assert.deepEqual((await ear.events('message', 2)).map((event) => event.message), [2, 3]);
});

test('what is not stored is heard all the same', async () => {
  const channel = freshChannel();
  const { ear } = await subscriber({ channels: [channel] });
  await publisher.publish({ channel, message: 'unstored', storeInHistory: false });
  await publisher.fire({ channel, message: 'fired' });
  await publisher.publish({ channel, message: 'last' });
  assert.deepEqual((await ear.events('message', 2)).map((event) => event.message), ['unstored', 'last']);
});

test('every payload is heard as a message', async () => {
  const channel = freshChannel();
  const { ear } = await subscriber({ channels: [channel] });
  const payloads = [{ a: 1 }, [1, null], 'text', 42, true];
  await publishAll(publisher, channel, payloads);
  assert.deepEqual((await ear.events('message', payloads.length)).map((event) => event.message), payloads);
});

test('what this client would not publish itself is heard and fetched as it is', async () => {
  const channel = freshChannel();
  const { ear } = await subscriber({ channels: [channel] });
  const payloads = [null, false, 0, '', 1e3, -0.5];
  for (const payload of payloads) {
    const message = encodeURIComponent(JSON.stringify(payload));
    const answer = await fetch(`http://${program.origin}/publish/pub-c-test/sub-c-test/0/${channel}/0/${message}`);
    assert.equal(answer.status, 200);
  }
  const heard = await ear.events('message', payloads.length);
  assert.deepEqual(heard.map((event) => event.message), payloads);
  const { channels } = await publisher.fetchMessages({ channels: [channel], count: 100 });
  assert.deepEqual(channels[channel].map((item) => item.message), payloads);
});

test('a malformed filter is refused with 481', async () => {
  const query = new URLSearchParams({ 'filter-expr': 'a ==', tt: '1' });
  const answer = await fetch(`http://${program.origin}/v2/subscribe/sub-c-test/a/0?${query}`);
  assert.equal(answer.status, 481);
});
