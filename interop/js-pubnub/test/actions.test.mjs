// protocols/pubnub.md §8 and §7.2, §7.5: actions on messages, and deletion from history.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { connect, Ear, freshChannel, publishAll } from '../clients.mjs';
import { Program } from '../program.mjs';

let program, ann, bob;
const open = [];
before(async () => {
  program = await Program.start();
  ann = connect(program, 'ann');
  bob = connect(program, 'bob');
});
afterEach(() => {
  for (const client of open.splice(0)) {
    client.unsubscribeAll();
    client.stop();
  }
});
after(async () => {
  ann.stop();
  bob.stop();
  await program.stop();
});

const smile = { type: 'reaction', value: 'smile' };
const older = (token) => String(BigInt(token) - 1n);
const newer = (token) => String(BigInt(token) + 1n);

test('actions are added, listed, shown with their messages and removed', async () => {
  const channel = freshChannel('ch ü');
  const [first, second] = await publishAll(ann, channel, ['m1', 'm2']);
  const added = (await ann.addMessageAction({ channel, messageTimetoken: first, action: smile })).data;
  assert.deepEqual(added, { ...smile, uuid: 'ann', messageTimetoken: first, actionTimetoken: added.actionTimetoken });
  const others = (await bob.addMessageAction({ channel, messageTimetoken: first, action: smile })).data;
  const receipt = { type: 'receipt', value: 'read' };
  await bob.addMessageAction({ channel, messageTimetoken: second, action: receipt });

  const listed = (await ann.getMessageActions({ channel })).data;
  assert.deepEqual(listed.map((action) => [action.uuid, action.value]), [['ann', 'smile'], ['bob', 'smile'], ['bob', 'read']]);
  assert.deepEqual((await ann.getMessageActions({ channel, limit: 1 })).data.map((action) => action.value), ['read']);
  const before = (await ann.getMessageActions({ channel, start: others.actionTimetoken, end: added.actionTimetoken })).data;
  assert.deepEqual(before.map((action) => action.uuid), ['ann']);

  const shown = await ann.fetchMessages({ channels: [channel], includeMessageActions: true });
  const [one, two] = Object.values(shown.channels)[0];
  const tokens = [added, others].map(({ uuid, actionTimetoken }) => ({ uuid, actionTimetoken }));
  assert.deepEqual(one.actions, { reaction: { smile: tokens } });
  assert.deepEqual(Object.keys(two.actions), ['receipt']);

  await ann.removeMessageAction({ channel, messageTimetoken: first, actionTimetoken: added.actionTimetoken });
  const left = (await ann.getMessageActions({ channel })).data;
  assert.deepEqual(left.map((action) => action.uuid), ['bob', 'bob']);
});

test('a message without actions has none', async () => {
  const channel = freshChannel();
  await publishAll(ann, channel, ['plain']);
  const shown = await ann.fetchMessages({ channels: [channel], includeMessageActions: true });
  assert.equal('actions' in shown.channels[channel][0], false);
});

test('the same action twice is a conflict, and only the poster removes it', async () => {
  const channel = freshChannel();
  const [messageTimetoken] = await publishAll(ann, channel, ['m']);
  const { data } = await ann.addMessageAction({ channel, messageTimetoken, action: smile });
  await assert.rejects(ann.addMessageAction({ channel, messageTimetoken, action: smile }), (error) => {
    assert.equal(error.status.statusCode, 409);
    return true;
  });
  const { actionTimetoken } = data;
  await assert.rejects(bob.removeMessageAction({ channel, messageTimetoken, actionTimetoken }), (error) => {
    assert.equal(error.status.statusCode, 400);
    assert.match(JSON.stringify(error.status.errorData), /wrong uuid/);
    return true;
  });
  await ann.removeMessageAction({ channel, messageTimetoken, actionTimetoken });
  await assert.rejects(ann.removeMessageAction({ channel, messageTimetoken, actionTimetoken }), (error) => {
    assert.match(JSON.stringify(error.status.errorData), /No matching/);
    return true;
  });
});

test('subscribers hear of actions', async () => {
  const channel = freshChannel();
  const client = connect(program, 'listener');
  open.push(client);
  const ear = new Ear(client);
  client.subscribe({ channels: [channel] });
  await ear.connected();
  const [messageTimetoken] = await publishAll(ann, channel, ['m']);
  const { data } = await ann.addMessageAction({ channel, messageTimetoken, action: smile });
  await ann.removeMessageAction({ channel, messageTimetoken, actionTimetoken: data.actionTimetoken });
  const heard = await ear.events('messageAction', 2);
  assert.deepEqual(heard.map((event) => event.event), ['added', 'removed']);
  for (const event of heard) {
    assert.deepEqual(event.data, { ...smile, uuid: 'ann', messageTimetoken, actionTimetoken: data.actionTimetoken });
    assert.equal(event.publisher, 'ann');
  }
});

const MESSAGES = ['m0', 'm1', 'm2', 'm3', 'm4'];
const fetched = async (channel) => {
  const { channels } = await ann.fetchMessages({ channels: [channel], count: 100 });
  return (channels[channel] ?? []).map((item) => item.message);
};

// start and end as indices; what is left as the table of §7.5 says.
const ROWS = [
  [{}, []],
  [{ start: 2 }, [2, 3, 4]],
  [{ end: 2 }, [0, 1]],
  [{ start: 1, end: 3 }, [0, 1, 4]],
  [{ start: 3, end: 1 }, [0, 3, 4]],
  [{ start: 2, end: 2 }, [0, 1, 2, 3, 4]],
];
for (const [bounds, left] of ROWS) {
  test(`delete ${JSON.stringify(bounds)}`, async () => {
    const channel = freshChannel();
    const tokens = await publishAll(ann, channel, MESSAGES);
    const query = Object.fromEntries(Object.entries(bounds).map(([name, index]) => [name, tokens[index]]));
    await ann.deleteMessages({ channel, ...query });
    assert.deepEqual(await fetched(channel), left.map((index) => MESSAGES[index]));
    const counted = await ann.messageCounts({ channels: [channel], channelTimetokens: ['1'] });
    assert.equal(counted.channels[channel], left.length);
  });
}

test('one message is deleted by its timetoken, and stays deleted', async () => {
  const channel = freshChannel();
  const tokens = await publishAll(ann, channel, MESSAGES);
  await ann.deleteMessages({ channel, start: newer(tokens[2]), end: tokens[2] });
  await ann.deleteMessages({ channel, start: older(tokens[4]), end: tokens[4] });
  await program.killAndRestart();
  assert.deepEqual(await fetched(channel), ['m0', 'm1', 'm3']);
});
