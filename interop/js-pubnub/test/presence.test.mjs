// protocols/pubnub.md §10: who is there.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { connect, Ear, freshChannel } from '../clients.mjs';
import { Program } from '../program.mjs';

let program, observer;
const open = [];
before(async () => {
  program = await Program.start();
  observer = connect(program, 'observer');
});
afterEach(() => {
  for (const client of open.splice(0)) {
    client.unsubscribeAll();
    client.stop();
  }
});
after(async () => {
  observer.stop();
  await program.stop();
});

async function subscriber(userId, subscription, options = {}) {
  const client = connect(program, userId, options);
  open.push(client);
  const ear = new Ear(client);
  client.subscribe(subscription);
  await ear.connected();
  return { client, ear };
}

const of = (user) => (event) => event.uuid === user;

for (const enableEventEngine of [false, true]) {
  test(`joins, leaves and states are told (event engine: ${enableEventEngine})`, async () => {
    const channel = freshChannel();
    const { ear } = await subscriber('watcher', { channels: [channel], withPresence: true }, { enableEventEngine });
    const { client } = await subscriber('visitor', { channels: [channel] }, { enableEventEngine });
    const [join] = await ear.events('presence', 1, of('visitor'));
    assert.deepEqual([join.action, join.channel, join.occupancy], ['join', channel, 2]);
    await client.setState({ channels: [channel], state: { mood: 'good' } });
    const [, change] = await ear.events('presence', 2, of('visitor'));
    assert.deepEqual([change.action, change.state], ['state-change', { mood: 'good' }]);
    client.unsubscribe({ channels: [channel] });
    const [, , leave] = await ear.events('presence', 3, of('visitor'));
    assert.deepEqual([leave.action, leave.occupancy], ['leave', 1]);
  });
}

test('here now tells who is there, of one channel, of several, everywhere', async () => {
  const [one, two] = [freshChannel(), freshChannel()];
  const { client } = await subscriber('ann', { channels: [one, two] });
  await subscriber('bob', { channels: [one] });
  await client.setState({ channels: [one], state: { a: 1 } });

  const here = await observer.hereNow({ channels: [one], includeUUIDs: true, includeState: true });
  assert.equal(here.totalOccupancy, 2);
  const occupants = here.channels[one].occupants;
  assert.deepEqual(occupants.map(({ uuid, state }) => [uuid, state]), [['ann', { a: 1 }], ['bob', undefined]]);

  const both = await observer.hereNow({ channels: [one, two], includeUUIDs: true });
  assert.equal(both.totalChannels, 2);
  assert.deepEqual([both.channels[one].occupancy, both.channels[two].occupancy], [2, 1]);
  const everywhere = await observer.hereNow({ channels: [], includeUUIDs: true });
  assert.equal(everywhere.channels[one].occupancy, 2);
  const counted = await observer.hereNow({ channels: [one], includeUUIDs: false });
  assert.equal(counted.totalOccupancy, 2);
});

test('where now tells where somebody is, and states can be read', async () => {
  const [one, two] = [freshChannel(), freshChannel()];
  const { client } = await subscriber('wanderer', { channels: [one, two] });
  assert.deepEqual((await observer.whereNow({ uuid: 'wanderer' })).channels.sort(), [one, two].sort());
  await client.setState({ channels: [one], state: { a: 1 } });
  const { channels } = await client.getState({ channels: [one] });
  assert.deepEqual(channels[one], { a: 1 });
});

test('a group has presence too', async () => {
  const [channelGroup, channel] = [freshChannel('group'), freshChannel()];
  await observer.channelGroups.addChannels({ channelGroup, channels: [channel] });
  const { ear } = await subscriber('watcher', { channelGroups: [channelGroup], withPresence: true });
  await subscriber('visitor', { channels: [channel] });
  const [join] = await ear.events('presence', 1, of('visitor'));
  assert.deepEqual([join.action, join.channel], ['join', channel]);
});

test('who dies silently times out', async () => {
  const channel = freshChannel();
  const { ear } = await subscriber('watcher', { channels: [channel], withPresence: true });
  const answer = await fetch(
    `http://${program.origin}/v2/presence/sub-key/sub-c-test/channel/${channel}/heartbeat?uuid=ghost&heartbeat=3`,
  );
  assert.equal(answer.status, 200);
  const [join, timeout] = await ear.events('presence', 2, of('ghost'));
  assert.deepEqual([join.action, timeout.action], ['join', 'timeout']);
});

test('nobody is there after a restart until heard of again', async () => {
  const channel = freshChannel();
  await subscriber('ann', { channels: [channel] });
  open.splice(0).forEach((client) => client.disconnect());
  await program.killAndRestart();
  assert.equal((await observer.hereNow({ channels: [channel] })).totalOccupancy, 0);
});
