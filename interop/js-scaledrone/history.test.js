// History and live messages, with both of the vendor's socket clients.
'use strict';

const assert = require('node:assert/strict');
const { after, before, describe, test } = require('node:test');
globalThis.WebSocket = require('ws');
const client = require('./program');
const { GUARDED, OPEN, Program, QUIET, Seen, next, opened, publish, token } = client;

const CLIENTS = { 'scaledrone-node': require('scaledrone-node'), 'scaledrone-react-native': require('scaledrone-react-native') };

let program;
before(async () => {
  program = await Program.start();
});
after(() => program.stop());

for (const [name, Scaledrone] of Object.entries(CLIENTS)) {
  const connect = (channel) => client.connect(Scaledrone, program, channel);
  const room = (suffix) => `${name}-${suffix}`;

  describe(name, () => {
    test('the newest 5 of 7 come oldest first, with their authors, ids and times; then live ones', async () => {
      const author = await opened(connect(OPEN));
      const started = Math.floor(Date.now() / 1000);
      const mirror = author.subscribe(room('feed'));
      await opened(mirror);
      const live = new Seen(mirror, 'message');
      for (let n = 1; n <= 7; n++) {
        author.publish({ room: room('feed'), message: { n } });
      }
      await live.atLeast(7);

      const reader = await opened(connect(OPEN));
      const feed = reader.subscribe(room('feed'), { historyCount: 5 });
      const seen = new Seen(feed, 'history_message', 'message');
      await opened(feed);
      await seen.atLeast(5);
      author.publish({ room: room('feed'), message: { n: 8 } });
      await seen.atLeast(6);
      assert.deepEqual(seen.data, [3, 4, 5, 6, 7, 8].map((n) => ({ n })));
      const history = seen.list.slice(0, 5);
      assert.ok(history.every(({ event }) => event === 'history_message'));
      assert.equal(seen.list[5].event, 'message');
      assert.ok(history.every(({ value }) => value.clientId === author.clientId));
      assert.ok(history.every(({ value }) => Number.isInteger(value.timestamp) && value.timestamp >= started));
      assert.deepEqual(
        history.map(({ value }) => value.id),
        live.list.slice(2, 7).map(({ value }) => value.id),
        'the same id live and in history',
      );
      author.close();
      reader.close();
    });

    test('messages by REST are kept without subscribers and have no author', async () => {
      for (const message of [{ a: 1 }, 'text', 0, false, null, '']) {
        await publish(program, OPEN, room('rest'), message);
      }
      const reader = await opened(connect(OPEN));
      const feed = reader.subscribe(room('rest'), { historyCount: 100 });
      const seen = new Seen(feed, 'history_message');
      await seen.atLeast(6);
      assert.deepEqual(seen.data, [{ a: 1 }, 'text', 0, false, null, '']);
      assert.ok(seen.list.every(({ value }) => value.clientId === undefined));
      reader.close();
    });

    test('counts are clamped, and no history comes where there is none', async () => {
      for (let n = 0; n < 103; n++) {
        await publish(program, OPEN, room('many'), n);
      }
      await publish(program, OPEN, `no-history-${name}`, 1);
      await publish(program, QUIET, room('many'), 1);
      const count = async (channel, roomName, historyCount) => {
        const reader = await opened(connect(channel));
        const feed = reader.subscribe(roomName, { historyCount });
        const seen = new Seen(feed, 'history_message', 'message');
        await opened(feed);
        // What is published after the subscribe comes after all history.
        await publish(program, channel, roomName, 'end');
        await seen.until('end');
        reader.close();
        return seen.list.filter(({ event }) => event === 'history_message').length;
      };
      assert.equal(await count(OPEN, room('many'), 1000), 100);
      assert.equal(await count(OPEN, room('many'), '7'), 7);
      assert.equal(await count(OPEN, room('many'), -1), 0);
      assert.equal(await count(OPEN, room('many'), undefined), 0);
      assert.equal(await count(OPEN, `no-history-${name}`, 10), 0);
      assert.equal(await count(QUIET, room('many'), 10), 0);
    });

    test('publishers at work while somebody subscribes: each message once, in order, without a gap', async () => {
      const publishers = await Promise.all([1, 2, 3].map(() => opened(connect(OPEN))));
      const mirror = publishers[0].subscribe(room('busy'));
      await opened(mirror);
      const order = new Seen(mirror, 'message');
      let working = true;
      const work = publishers.map(async (drone, publisher) => {
        for (let n = 0; working; n++) {
          drone.publish({ room: room('busy'), message: `${publisher}/${n}` });
          await new Promise(setImmediate);
        }
      });
      const runs = [];
      for (const historyCount of [0, 1, 10, 50, 100]) {
        const reader = await opened(connect(OPEN));
        const feed = reader.subscribe(room('busy'), { historyCount });
        const seen = new Seen(feed, 'history_message', 'message');
        await opened(feed);
        await seen.atLeast(historyCount + 100);
        // A closing client still takes what is on its way, which the mirror may not have seen yet at the end.
        runs.push({ data: [...seen.data], list: [...seen.list] });
        reader.close();
      }
      working = false;
      await Promise.all(work);
      await publish(program, OPEN, room('busy'), 'end');
      await order.until('end');
      for (const seen of runs) {
        const first = order.data.indexOf(seen.data[0]);
        assert.deepEqual(seen.data, order.data.slice(first, first + seen.list.length));
        const kinds = seen.list.map(({ event }) => event);
        assert.ok(kinds.lastIndexOf('history_message') < kinds.indexOf('message'), 'history before live');
      }
      for (const [publisher] of publishers.entries()) {
        const own = order.data.filter((text) => text.startsWith(`${publisher}/`)).map((text) => +text.split('/')[1]);
        assert.deepEqual(own, own.map((_, index) => index), 'the order of each publisher');
      }
      publishers.forEach((drone) => drone.close());
    });

    test('a token says which rooms, and how much history', async () => {
      for (let n = 0; n < 9; n++) {
        await publish(program, GUARDED, 'feed', n);
        await publish(program, GUARDED, 'bare', n);
      }
      const drone = await opened(connect(GUARDED));
      drone.authenticate(
        token(GUARDED, {
          client: drone.clientId,
          data: { serverId: 312 },
          permissions: {
            '.*': { publish: true, subscribe: true },
            '^main-room$': { publish: false, subscribe: false },
            '^feed$': { history: 3 },
          },
        }),
      );
      assert.equal(await next(drone, 'authenticate'), undefined);
      const feed = drone.subscribe('feed', { historyCount: 100 });
      const seen = new Seen(feed, 'history_message', 'message');
      await opened(feed);
      drone.publish({ room: 'feed', message: 'live' });
      await seen.atLeast(4);
      assert.deepEqual(seen.data, [6, 7, 8, 'live']);

      const bare = drone.subscribe('bare', { historyCount: 100 });
      const bareSeen = new Seen(bare, 'history_message', 'message');
      await opened(bare);
      drone.publish({ room: 'bare', message: 'live' });
      await bareSeen.atLeast(1);
      assert.deepEqual(bareSeen.data, ['live'], 'no history without the right');

      const refused = await next(drone.subscribe('main-room', { historyCount: 1 }), 'open');
      assert.match(String(refused), /permission/);
      const failure = next(drone, 'error');
      drone.publish({ room: 'main-room', message: 'no' });
      assert.match(String(await failure), /permission/);
      drone.close();
    });

    test('bad tokens are refused with the texts that clients know', async () => {
      const attempt = async (make) => {
        const drone = await opened(connect(GUARDED));
        drone.authenticate(make(drone.clientId));
        const error = await next(drone, 'authenticate');
        drone.close();
        return String(error);
      };
      const permissions = { '.*': { subscribe: true } };
      const now = Math.floor(Date.now() / 1000);
      assert.match(await attempt(() => 'wrongtoken'), /JWT does not have 3 parts/);
      assert.match(await attempt((client) => token(GUARDED, { client, permissions, exp: now - 1 })), /expired/);
      assert.match(await attempt((client) => token(OPEN, { client, permissions })), /signature/);
      assert.match(await attempt(() => token(GUARDED, { client: 'some:oneElse', permissions })), /client/);
      assert.match(await attempt((client) => token(GUARDED, { client, permissions, channel: OPEN.id })), /channel/);
      assert.equal(await attempt((client) => token(GUARDED, { client, permissions, exp: (now + 60) * 1000 })), 'undefined');
    });

    test('an unknown channel is told so, and nobody retries for ever', async () => {
      const drone = connect({ id: 'NoSuchChannel' });
      const closed = next(drone, 'close');
      assert.match(String(await next(drone, 'open')), /Channel not found/);
      await closed;
    });

    test('after an unsubscribe nothing more comes, and one may come back for more history', async () => {
      const drone = await opened(connect(OPEN));
      const feed = drone.subscribe(room('leave'));
      await opened(feed);
      const live = new Seen(feed, 'message');
      drone.publish({ room: room('leave'), message: 1 });
      await live.atLeast(1);
      drone.unsubscribe(room('leave'));
      drone.publish({ room: room('leave'), message: 2 });
      const back = drone.subscribe(room('leave'), { historyCount: 10 });
      const seen = new Seen(back, 'history_message', 'message');
      await seen.atLeast(2);
      drone.publish({ room: room('leave'), message: 3 });
      await seen.atLeast(3);
      assert.deepEqual(live.data, [1]);
      assert.deepEqual(seen.data, [1, 2, 3]);

      const again = drone.subscribe(room('leave'), { historyCount: 2 });
      const more = new Seen(again, 'history_message', 'message');
      await more.atLeast(2);
      drone.publish({ room: room('leave'), message: 4 });
      await more.atLeast(3);
      assert.deepEqual(more.data, [2, 3, 4], 'history again, one live subscription');
      drone.close();
    });
  });
}
