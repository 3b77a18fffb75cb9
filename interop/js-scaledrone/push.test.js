// Every call of the vendor's REST wrapper for Node.
'use strict';

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { promisify } = require('node:util');
const Scaledrone = require('scaledrone-node');
const Push = require('scaledrone-node-push');
const client = require('./program');
const { GUARDED, OPEN, Program, Seen, next, opened, publish, token } = client;

let program;
let push;
before(async () => {
  program = await Program.start();
  push = calls(new Push({ channelId: OPEN.id, secretKey: OPEN.secret, baseURL: program.baseURL }));
});
after(() => program.stop());

const NAMES = ['publish', 'channelStats', 'members', 'rooms', 'roomMembers', 'allRoomMembers'];
const calls = (client) => Object.fromEntries(NAMES.map((name) => [name, promisify(client[name].bind(client))]));

test('messages go to one room or to several; only what holds JSON goes out as JSON', async () => {
  const drone = await opened(client.connect(Scaledrone, program, OPEN));
  const rooms = await Promise.all(['one', 'two'].map((room) => opened(drone.subscribe(room))));
  const [one, two] = rooms.map((room) => new Seen(room, 'message'));
  await push.publish('one', 'plain');
  await push.publish('one', '{"a":[1]}');
  await push.publish('one', 1.23);
  await push.publish(['one', 'two'], 'both');
  await one.atLeast(4);
  await two.atLeast(1);
  assert.deepEqual(one.data, ['plain', { a: [1] }, '1.23', 'both']);
  assert.deepEqual(two.data, ['both']);
  assert.ok(one.list.every(({ value }) => value.clientId === undefined && value.id && value.timestamp));
  drone.close();
});

test('lists tell who is connected and where', async () => {
  const before = (await push.channelStats()).users_count;
  const drones = await Promise.all([1, 2].map(() => opened(client.connect(Scaledrone, program, OPEN))));
  const [ann, bob] = drones.map((drone) => drone.clientId);
  assert.deepEqual(await push.channelStats(), { users_count: before + 2 });
  assert.deepEqual(await push.members(), [], 'connected, but in no room');
  await opened(drones[0].subscribe('x'));
  await opened(drones[1].subscribe('x'));
  await opened(drones[1].subscribe('observable-y'));
  assert.deepEqual((await push.members()).sort(), [ann, bob].sort());
  assert.deepEqual((await push.rooms()).sort(), ['observable-y', 'x']);
  assert.deepEqual(await push.roomMembers('x'), [ann, bob]);
  assert.deepEqual(await push.roomMembers('nobody'), []);
  assert.deepEqual(await push.allRoomMembers(), { x: [ann, bob], 'observable-y': [bob] });
  drones.forEach((drone) => drone.close());
});

test('wrong credentials are refused, with a message', async () => {
  const wrong = calls(new Push({ channelId: OPEN.id, secretKey: 'wrong', baseURL: program.baseURL }));
  for (const name of NAMES) {
    const given = { publish: ['r', 'x'], roomMembers: ['r'] }[name] ?? [];
    await assert.rejects(wrong[name](...given), /credentials are wrong/, name);
  }
});

test('a token may publish where it says, by REST too', async () => {
  const bearer = token(GUARDED, { permissions: { '^may$': { publish: true } } });
  const post = async (path) => {
    const headers = { authorization: `Bearer ${bearer}` };
    return (await fetch(`${program.baseURL}/${GUARDED.id}/${path}`, { method: 'POST', headers, body: 'x' })).status;
  };
  assert.equal(await post('may/publish'), 200);
  assert.equal(await post('may-not/publish'), 403);
  assert.equal(await post('publish/rooms?r=may&r=may-not'), 403, 'every room must be allowed');
  await publish(program, GUARDED, 'may', 'with the secret');
  const drone = await opened(client.connect(Scaledrone, program, GUARDED));
  const permissions = { may: { subscribe: true, history: 10 } };
  drone.authenticate(token(GUARDED, { client: drone.clientId, permissions }));
  assert.equal(await next(drone, 'authenticate'), undefined);
  const seen = new Seen(drone.subscribe('may', { historyCount: 10 }), 'history_message');
  await seen.atLeast(2);
  assert.deepEqual(seen.data, ['x', 'with the secret']);
  drone.close();
});
