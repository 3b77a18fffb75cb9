// protocols/pubnub.md §9: channel groups, kept by the server.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { connect, Ear, freshChannel } from '../clients.mjs';
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

const listed = async (channelGroup) => (await publisher.channelGroups.listChannels({ channelGroup })).channels;

test('channels are added, listed and removed', async () => {
  const channelGroup = freshChannel('group');
  const [a, b, c] = ['a b', 'b/c', 'c+🎉'];
  await publisher.channelGroups.addChannels({ channelGroup, channels: [a, b] });
  await publisher.channelGroups.addChannels({ channelGroup, channels: [b, c] });
  assert.deepEqual((await listed(channelGroup)).sort(), [a, b, c].sort());
  await publisher.channelGroups.removeChannels({ channelGroup, channels: [b] });
  assert.deepEqual((await listed(channelGroup)).sort(), [a, c].sort());
  const { groups } = await publisher.channelGroups.listGroups();
  assert.ok(groups.includes(channelGroup));
  await publisher.channelGroups.deleteGroup({ channelGroup });
  assert.deepEqual(await listed(channelGroup), []);
});

test('groups survive kill -9', async () => {
  const channelGroup = freshChannel('group');
  await publisher.channelGroups.addChannels({ channelGroup, channels: ['a', 'b'] });
  await program.killAndRestart();
  assert.deepEqual((await listed(channelGroup)).sort(), ['a', 'b']);
});

for (const enableEventEngine of [false, true]) {
  test(`a group is heard, and changes while a poll waits (event engine: ${enableEventEngine})`, async () => {
    const channelGroup = freshChannel('group');
    const [first, later] = [freshChannel(), freshChannel()];
    await publisher.channelGroups.addChannels({ channelGroup, channels: [first] });
    const client = connect(program, 'subscriber', { enableEventEngine });
    open.push(client);
    const ear = new Ear(client);
    client.subscribe({ channelGroups: [channelGroup] });
    await ear.connected();
    await publisher.publish({ channel: first, message: 1 });
    const [heard] = await ear.events('message', 1);
    assert.deepEqual([heard.channel, heard.subscription], [first, channelGroup]);
    await publisher.channelGroups.addChannels({ channelGroup, channels: [later] });
    await publisher.publish({ channel: later, message: 2 });
    await ear.events('message', 2);
    await publisher.channelGroups.removeChannels({ channelGroup, channels: [later] });
    await publisher.publish({ channel: later, message: 'not heard' });
    await publisher.publish({ channel: first, message: 3 });
    const all = await ear.events('message', 3);
    assert.deepEqual(all.map((event) => event.message), [1, 2, 3]);
  });
}

test('a group that is empty at first is heard once it has a channel', async () => {
  const channelGroup = freshChannel('group');
  const client = connect(program, 'subscriber');
  open.push(client);
  const ear = new Ear(client);
  client.subscribe({ channelGroups: [channelGroup] });
  await ear.connected();
  const channel = freshChannel();
  await publisher.channelGroups.addChannels({ channelGroup, channels: [channel] });
  await publisher.publish({ channel, message: 'first' });
  assert.equal((await ear.events('message'))[0].message, 'first');
});
