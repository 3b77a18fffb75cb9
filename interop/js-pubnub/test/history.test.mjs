// protocols/pubnub.md §6 and §7: every row of the selection tables, through the client.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect, freshChannel, publishAll } from '../clients.mjs';
import { KEYS, Program } from '../program.mjs';

// This client publishes nothing that is falsy.
const MESSAGES = ['m0', 'm1', 'm2', 'm3', 'm4'];

let program, client, channel, tokens;
before(async () => {
  program = await Program.start();
  client = connect(program, 'ann');
  channel = freshChannel();
  tokens = await publishAll(client, channel, MESSAGES);
});
after(async () => {
  client.stop();
  await program.stop();
});

const entries = async (options) => {
  const answer = await client.history({ channel, stringifiedTimeToken: true, ...options });
  return answer.messages.map((item) => item.entry);
};

const numbers = (count) => Array.from({ length: count }, (_, index) => index + 1);

const newer = (token) => String(BigInt(token) + 1n);

// start and end as indices into the messages; expected as the table of §6.1 says.
const ROWS = [
  [{ count: 2 }, [3, 4]],
  [{ count: 2, reverse: true }, [0, 1]],
  [{ count: 2, start: 3 }, [1, 2]],
  [{ count: 2, start: 1, reverse: true }, [2, 3]],
  [{ count: 2, end: 1 }, [3, 4]],
  [{ count: 9, end: 1 }, [1, 2, 3, 4]],
  [{ count: 2, end: 3, reverse: true }, [0, 1]],
  [{ count: 2, start: 4, end: 1 }, [2, 3]],
  [{ count: 9, start: 4, end: 1 }, [1, 2, 3]],
  [{ count: 2, start: 4, end: 1, reverse: true }, [2, 3]],
  [{ count: 9, start: 4 }, [0, 1, 2, 3]],
  [{ count: 9, start: 2, reverse: true }, [3, 4]],
  [{ count: 9, end: 2, reverse: true }, [0, 1, 2]],
  [{ count: 2, start: 0, end: 3 }, [1, 2]],
  [{ count: 2, start: 0, end: 3, reverse: true }, [1, 2]],
  [{ count: 9, start: 2, end: 2 }, []],
  [{ count: 9, start: 2, end: 2, reverse: true }, []],
];

for (const [query, expected] of ROWS) {
  test(`history ${JSON.stringify(query)}`, async () => {
    const { start, end, ...rest } = query;
    const bounds = {};
    if (start !== undefined) bounds.start = tokens[start];
    if (end !== undefined) bounds.end = tokens[end];
    assert.deepEqual(await entries({ ...bounds, ...rest }), expected.map((index) => MESSAGES[index]));
  });

  // fetchMessages of this client knows no reverse.
  if (query.reverse) continue;
  test(`fetchMessages ${JSON.stringify(query)}`, async () => {
    const { start, end, count } = query;
    const options = { channels: [channel], count };
    if (start !== undefined) options.start = tokens[start];
    if (end !== undefined) options.end = tokens[end];
    const answer = await client.fetchMessages(options);
    assert.deepEqual((answer.channels[channel] ?? []).map((item) => item.message), expected.map((index) => MESSAGES[index]));
  });
}

test('the ends of an answer are its first and last message', async () => {
  const answer = await client.history({ channel, count: 3 });
  // Bare integers of 17 digits: this client rounds them.
  assert.equal(answer.startTimeToken, Number(tokens[2]));
  assert.equal(answer.endTimeToken, Number(tokens[4]));
  const nothing = await client.history({ channel: freshChannel(), count: 3 });
  assert.deepEqual([nothing.messages, nothing.startTimeToken, nothing.endTimeToken], [[], 0, 0]);
});

test('one message is named by its timetoken', async () => {
  const answer = await client.fetchMessages({ channels: [channel], start: newer(tokens[2]), end: tokens[2], count: 10 });
  assert.deepEqual(answer.channels[channel].map((item) => item.message), ['m2']);
});

test('history with meta and tokens', async () => {
  const channel = freshChannel();
  const { timetoken } = await client.publish({ channel, message: 'x', meta: { a: 1 } });
  const { messages } = await client.history({ channel, includeMeta: true, stringifiedTimeToken: true });
  assert.deepEqual(messages, [{ timetoken, entry: 'x', meta: { a: 1 } }]);
});

test('a page has 100 messages, 25 of several channels, and one can page on', async () => {
  const [many, few] = [freshChannel('many'), freshChannel('few')];
  await publishAll(client, many, numbers(120));
  await publishAll(client, few, numbers(30));
  const one = await client.fetchMessages({ channels: [many], count: 500 });
  assert.equal(one.channels[many].length, 100);
  assert.equal(one.channels[many][0].message, 21);
  const both = await client.fetchMessages({ channels: [many, few, freshChannel()], count: 100 });
  assert.deepEqual(Object.keys(both.channels).sort(), [few, many].sort());
  assert.deepEqual([both.channels[many].length, both.channels[few].length], [25, 25]);
  const before = await client.fetchMessages({ channels: [many], count: 100, start: one.channels[many][0].timetoken });
  assert.deepEqual(before.channels[many].map((item) => item.message), numbers(20));
});

test('counts are exclusive, and zero for what is not known', async () => {
  const unknown = freshChannel();
  const one = await client.messageCounts({ channels: [channel], channelTimetokens: [tokens[1]] });
  assert.deepEqual(one.channels, { [channel]: 3 });
  const two = await client.messageCounts({ channels: [channel, unknown], channelTimetokens: [tokens[4], tokens[0]] });
  assert.deepEqual(two.channels, { [channel]: 0, [unknown]: 0 });
  const all = await client.messageCounts({ channels: [channel, unknown], channelTimetokens: ['1'] });
  assert.deepEqual(all.channels, { [channel]: 5, [unknown]: 0 });
});

test('lists of different lengths are refused', async () => {
  // The client refuses this by itself, so it is asked without one.
  const counts = `http://${program.origin}/v3/history/sub-key/${KEYS.subscribeKey}/message-counts/a,b,c`;
  for (const query of ['channelsTimetoken=1,2', 'timetoken=1&channelsTimetoken=1,2,3', '', 'timetoken=abc']) {
    assert.equal((await fetch(`${counts}?${query}`)).status, 400, query);
  }
});

test('what is acknowledged survives kill -9', async () => {
  const channel = freshChannel();
  const sent = await publishAll(client, channel, ['a', 'b', 'c']);
  await program.killAndRestart();
  const { channels } = await client.fetchMessages({ channels: [channel], count: 100 });
  assert.deepEqual(channels[channel].map((item) => item.timetoken), sent);
});
