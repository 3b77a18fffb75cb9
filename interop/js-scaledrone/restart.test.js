// The program is killed, or told to stop, and started again: clients come back by themselves and history is there.
'use strict';

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const Scaledrone = require('scaledrone-node');
const client = require('./program');
const { GUARDED, OPEN, Program, Seen, next, opened, publish, token } = client;

let program;
before(async () => {
  program = await Program.start();
});
after(() => program.stop());

const connect = (channel) => client.connect(Scaledrone, program, channel);

for (const signal of ['SIGKILL', 'SIGTERM']) {
  test(`after ${signal} clients reconnect, rooms are subscribed again, and history is whole`, async () => {
    const room = `feed-${signal}`;
    const drone = await opened(connect(OPEN));
    const feed = drone.subscribe(room, { historyCount: 5 });
    const seen = new Seen(feed, 'history_message', 'message');
    await opened(feed);
    drone.publish({ room, message: 'before' });
    await seen.atLeast(1);

    let closed = false;
    drone.on('close', () => (closed = true));
    const reconnected = next(drone, 'reconnect');
    await program.restart(signal);
    await reconnected;
    assert.equal(closed, false, 'a close frame would have ended this client for good');

    // The client asks for its rooms again without waiting; what is published may come before that.
    const probe = drone.subscribe(`probe-${signal}`);
    const probed = new Seen(probe, 'message');
    const probing = setInterval(() => drone.publish({ room: `probe-${signal}`, message: 1 }), 50);
    await probed.atLeast(1);
    clearInterval(probing);
    await publish(program, OPEN, room, 'after');
    await seen.atLeast(2);
    assert.deepEqual(seen.data, ['before', 'after']);

    const again = drone.subscribe(room, { historyCount: 5 });
    const history = new Seen(again, 'history_message');
    await history.atLeast(2);
    assert.deepEqual(history.data, ['before', 'after']);
    drone.close();
  });
}

test('a client that must authenticate may go on with a token for the id that it had', async () => {
  const drone = await opened(connect(GUARDED));
  const id = drone.clientId;
  const claims = { client: id, permissions: { '.*': { subscribe: true, publish: true, history: 10 } } };
  drone.authenticate(token(GUARDED, claims));
  assert.equal(await next(drone, 'authenticate'), undefined);
  await opened(drone.subscribe('feed'));

  const reconnected = next(drone, 'reconnect');
  await program.restart('SIGKILL');
  await reconnected;
  assert.equal(drone.clientId, id, 'the client keeps the id it had first');
  drone.authenticate(token(GUARDED, claims));
  assert.equal(await next(drone, 'authenticate'), undefined);
  const feed = drone.subscribe('feed', { historyCount: 10 });
  const seen = new Seen(feed, 'history_message', 'message');
  await opened(feed);
  drone.publish({ room: 'feed', message: 'back' });
  await seen.atLeast(1);
  assert.deepEqual(seen.data, ['back']);
  drone.close();
});
