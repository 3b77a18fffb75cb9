// protocols/pubnub.md §1.1 and §2.2: awkward names everywhere that this client can send one: it puts the names of groups, and
// the user whose state it reads, into paths as they are.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { connect, Ear, freshChannel } from '../clients.mjs';
import { Program } from '../program.mjs';

const NAMES = ['with space', 'per%cent', 'per%20cent', 'pl+us', 'sl/ash', 'double//slash', 'ha#sh', 'emoji 🎉', 'quest?ion&a=b', "it's(a)*!~"];

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

async function subscriber(userId, subscription) {
  const client = connect(program, userId);
  open.push(client);
  const ear = new Ear(client);
  client.subscribe(subscription);
  await ear.connected();
  return { client, ear };
}

for (const name of NAMES) {
  test(`a channel called ${name}: heard, acted on, counted, deleted from`, async () => {
    const channel = freshChannel(name);
    const { ear } = await subscriber('listener', { channels: [channel, freshChannel('another')] });
    const { timetoken } = await observer.publish({ channel, message: name, meta: { name } });
    await observer.signal({ channel, message: 'typing' });
    const [heard] = await ear.events('message');
    assert.deepEqual([heard.channel, heard.message, heard.userMetadata], [channel, name, { name }]);
    assert.equal((await ear.events('signal'))[0].channel, channel);

    const action = { type: 'reaction', value: name };
    const { data } = await observer.addMessageAction({ channel, messageTimetoken: timetoken, action });
    assert.deepEqual([data.type, data.value], [action.type, action.value]);
    assert.equal((await ear.events('messageAction'))[0].data.value, name);
    const shown = await observer.fetchMessages({ channels: [channel], includeMessageActions: true });
    assert.deepEqual(Object.keys(Object.values(shown.channels)[0][0].actions), [action.type]);
    await observer.removeMessageAction({ channel, messageTimetoken: timetoken, actionTimetoken: data.actionTimetoken });
    assert.deepEqual((await observer.getMessageActions({ channel })).data, []);

    const count = async () => {
      const { channels } = await observer.messageCounts({ channels: [channel], channelTimetokens: ['1'] });
      return Object.values(channels)[0];
    };
    assert.equal(await count(), 1);
    await observer.deleteMessages({ channel });
    assert.equal(await count(), 0);
  });

  test(`a channel called ${name}, and a user of that name: who is there`, async () => {
    const [channel, channelGroup, userId] = [freshChannel(name), freshChannel('group'), `user ${name}`];
    await observer.channelGroups.addChannels({ channelGroup, channels: [channel] });
    assert.deepEqual((await observer.channelGroups.listChannels({ channelGroup })).channels, [channel]);
    const { ear } = await subscriber('watcher', { channelGroups: [channelGroup], withPresence: true });
    const { client } = await subscriber(userId, { channels: [channel] });
    const [join] = await ear.events('presence', 1, (event) => event.uuid === userId);
    assert.deepEqual([join.action, join.channel], ['join', channel]);
    await client.setState({ channels: [channel], state: { name } });
    const here = await observer.hereNow({ channels: [channel], includeUUIDs: true, includeState: true });
    const occupant = here.channels[channel].occupants.find(({ uuid }) => uuid === userId);
    assert.deepEqual(occupant.state, { name });
    assert.deepEqual((await observer.whereNow({ uuid: userId })).channels, [channel]);
    await observer.publish({ channel, message: 'to the group' });
    assert.equal((await ear.events('message'))[0].subscription, channelGroup);
    await observer.channelGroups.deleteGroup({ channelGroup });
  });
}
