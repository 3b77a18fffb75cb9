// protocols/pubnub.md §1.3 and §10: what clients see where a bound is crossed: 429 and 503 with a time to come back, and
// intervals instead of joins.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { connect, Ear, freshChannel } from '../clients.mjs';
import { KEYS, Program } from '../program.mjs';

const { publishKey, subscribeKey } = KEYS;

test('one subscription too many is told so, and comes in when there is room', async () => {
  const program = await Program.start('subscriptions = 1');
  const first = connect(program, 'first');
  const ear = new Ear(first);
  const channel = freshChannel();
  first.subscribe({ channels: [channel] });
  await ear.connected();

  const poll = `http://${program.origin}/v2/subscribe/${subscribeKey}/${channel}/0?tt=0&uuid=second`;
  // The poll that follows the handshake may not be there yet.
  let answer;
  do answer = await fetch(poll);
  while (answer.ok);
  assert.equal(answer.status, 429);
  assert.equal(answer.headers.get('retry-after'), '1');
  assert.equal((await answer.json()).status, 429);

  const second = connect(program, 'second');
  const late = new Ear(second);
  second.subscribe({ channels: [channel] });
  const [refused] = await late.events('status', 1, ({ error }) => error);
  assert.equal(refused.statusCode, 429, JSON.stringify(refused));
  first.unsubscribeAll();
  second.reconnect();
  await late.connected();
  await first.publish({ channel, message: 'heard' });
  assert.equal((await late.events('message'))[0].message, 'heard');
  second.unsubscribeAll();
  for (const client of [first, second]) client.stop();
  await program.stop();
});

test('one request too many is told when to come back', async () => {
  const program = await Program.start('requests = 1');
  const client = connect(program, 'ann');
  const channel = freshChannel();
  // A body that does not come occupies the only place.
  const [host, port] = program.origin.split(':');
  const slow = net.connect(Number(port), host);
  await once(slow, 'connect');
  slow.write(`POST /publish/${publishKey}/${subscribeKey}/0/${channel}/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n`);
  let refused;
  while (!refused) {
    await client.publish({ channel, message: 'between' }).catch((error) => {
      refused = error.status;
    });
  }
  assert.equal(refused.statusCode, 503, JSON.stringify(refused));
  const answer = await fetch(`http://${program.origin}/time/0`);
  assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '1']);
  assert.match(answer.headers.get('content-type'), /json/);
  slow.destroy();
  // It is noticed that nobody is there any more.
  for (let published = false; !published; ) {
    published = await client.publish({ channel, message: 'after' }).then(() => true, () => false);
  }
  client.stop();
  await program.stop();
});

test('a crowd is told in intervals, not by name', async () => {
  const program = await Program.start('presence_announced = 3\npresence_interval = "1s"');
  const channel = freshChannel();
  const watcher = connect(program, 'watcher');
  const ear = new Ear(watcher);
  watcher.subscribe({ channels: [channel], withPresence: true });
  await ear.connected();
  const come = async (uuid) => {
    const path = `v2/presence/sub-key/${subscribeKey}/channel/${channel}/heartbeat?uuid=${uuid}&heartbeat=60`;
    assert.equal((await fetch(`http://${program.origin}/${path}`)).status, 200);
  };
  const leave = (uuid) =>
    fetch(`http://${program.origin}/v2/presence/sub-key/${subscribeKey}/channel/${channel}/leave?uuid=${uuid}`);
  for (let user = 1; user <= 10; user += 1) await come(`user-${user}`);
  const interval = (event) => event.action === 'interval';
  const [first] = await ear.events('presence', 1, interval);
  assert.equal(first.channel, channel);
  assert.ok(first.occupancy > 3, JSON.stringify(first));
  const told = () => ear.heard.presence.filter(interval).flatMap((event) => event.join ?? []);
  const joined = () => ear.heard.presence.filter(({ action }) => action === 'join').map(({ uuid }) => uuid);
  await ear.events('presence', 1, (event) => interval(event) && event.occupancy === 11);
  const everybody = ['watcher', ...Array.from({ length: 10 }, (_, index) => `user-${index + 1}`)];
  assert.deepEqual([...joined(), ...told()].sort(), everybody.sort());
  assert.ok(joined().length <= 3, `named one by one: ${joined()}`);
  await leave('user-10');
  const [gone] = await ear.events('presence', 1, (event) => interval(event) && event.leave);
  assert.deepEqual([gone.leave, gone.occupancy], [['user-10'], 10]);
  watcher.unsubscribeAll();
  watcher.stop();
  await program.stop();
});
