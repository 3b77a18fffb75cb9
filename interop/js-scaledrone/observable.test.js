// Observable rooms: who is there, who comes, who goes, however they go.
'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { after, before, test } = require('node:test');
const Scaledrone = require('scaledrone-node');
const client = require('./program');
const { GUARDED, OPEN, Program, Seen, next, opened, token } = client;

let program;
before(async () => {
  program = await Program.start();
});
after(() => program.stop());

const connect = (channel, data) => client.connect(Scaledrone, program, channel, data);
const EVENTS = ['members', 'member_join', 'member_leave'];

test('members are listed with what they told of themselves, and heard of when they come and go', async () => {
  const ann = await opened(connect(OPEN, { name: 'Ann' }));
  const room = ann.subscribe('observable-lobby');
  const seen = new Seen(room, ...EVENTS);
  await seen.atLeast(1);
  const annShown = { id: ann.clientId, clientData: { name: 'Ann' } };
  assert.deepEqual(seen.list[0], { event: 'members', value: [annShown] });

  const bob = await opened(connect(OPEN));
  const bobRoom = bob.subscribe('observable-lobby');
  const bobShown = { id: bob.clientId };
  assert.deepEqual(await next(bobRoom, 'members'), [annShown, bobShown]);
  await seen.atLeast(2);
  assert.deepEqual(seen.list[1], { event: 'member_join', value: bobShown });

  bob.unsubscribe('observable-lobby');
  await seen.atLeast(3);
  assert.deepEqual(seen.list[2], { event: 'member_leave', value: bobShown });

  bob.subscribe('observable-lobby');
  await seen.atLeast(4);
  bob.close();
  await seen.atLeast(5);
  assert.deepEqual(seen.list[4], { event: 'member_leave', value: bobShown }, 'leaves by closing');

  const message = next(room, 'message');
  ann.publish({ room: 'observable-lobby', message: 'hi' });
  assert.deepEqual((await message).member, annShown);
  ann.close();
});

test('a member whose process is killed leaves', async () => {
  const ann = await opened(connect(OPEN));
  const room = ann.subscribe('observable-killed');
  const seen = new Seen(room, ...EVENTS);
  await seen.atLeast(1);
  const script = `
    const Scaledrone = require('scaledrone-node');
    new Scaledrone('${OPEN.id}', { url: '${program.url}' }).subscribe('observable-killed');`;
  const other = spawn(process.execPath, ['-e', script], { cwd: __dirname, stdio: 'ignore' });
  await seen.atLeast(2);
  assert.equal(seen.list[1].event, 'member_join');
  const exited = once(other, 'exit');
  other.kill('SIGKILL');
  await exited;
  await seen.atLeast(3);
  assert.deepEqual(seen.list[2], { event: 'member_leave', value: seen.list[1].value });
  ann.close();
});

test('the data of a token is shown to the others', async () => {
  const members = await Promise.all([1, 2].map(() => opened(connect(GUARDED))));
  for (const [index, drone] of members.entries()) {
    const permissions = { '^observable-': { subscribe: true } };
    drone.authenticate(token(GUARDED, { client: drone.clientId, permissions, data: { serverId: index } }));
    assert.equal(await next(drone, 'authenticate'), undefined);
  }
  const [first, second] = members;
  const seen = new Seen(first.subscribe('observable-tokens'), ...EVENTS);
  await seen.atLeast(1);
  second.subscribe('observable-tokens');
  await seen.atLeast(2);
  assert.deepEqual(seen.list[1].value, { id: second.clientId, authData: { serverId: 1 } });
  members.forEach((drone) => drone.close());
});

test('two tabs of one user are two members, and a room that does not say observable is silent', async () => {
  const tabs = await Promise.all([1, 2].map(() => opened(connect(OPEN, { user: 7 }))));
  const lists = [];
  for (const drone of tabs) {
    lists.push(await next(drone.subscribe('observable-tabs'), 'members'));
  }
  assert.deepEqual(lists.map((list) => list.length), [1, 2]);
  const plain = tabs[0].subscribe('lobby-observable-not');
  const seen = new Seen(plain, ...EVENTS);
  await opened(plain);
  await opened(tabs[1].subscribe('lobby-observable-not'));
  const message = next(plain, 'message');
  tabs[1].publish({ room: 'lobby-observable-not', message: 1 });
  await message;
  assert.deepEqual(seen.list, []);
  tabs.forEach((drone) => drone.close());
});
