// A sender with both forms of tokens that waits for acknowledgements, and a poller of events.
'use strict';

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { RtmTokenBuilder: Builder006, RtmRole } = require('agora-access-token');
const { RtmTokenBuilder: Builder007 } = require('agora-token');
const { APP_ID, CERTIFICATE, NATIVE_KEY, Program, within } = require('./program');

let program;
before(async () => {
  program = await Program.start();
});
after(() => program.stop());

/** A camera that tells its owner what it sees: shows its token twice, and needs `result` and `code`. */
async function camera(user, token, owner, text, parameters = '?wait_for_ack=true') {
  const answer = await fetch(`${program.base}/rtm/users/${user}/peer_messages${parameters}`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Authorization: `agora token=${token}`,
      'x-agora-token': token,
      'x-agora-uid': user,
    },
    body: JSON.stringify({
      destination: owner,
      enable_offline_messaging: true,
      enable_historical_messaging: true,
      payload: JSON.stringify({ text }),
    }),
  });
  const { result, code } = await answer.json();
  return `${answer.status} ${result} ${code}`;
}

test('a camera with either token tells its owner, who is offline and finds it in history', async () => {
  const tokens = [Builder006.buildToken(APP_ID, CERTIFICATE, 'cam', RtmRole.Rtm_User, 0), Builder007.buildToken(APP_ID, CERTIFICATE, 'cam', 600)];
  for (const token of tokens) {
    assert.equal(await camera('cam', token, 'owner', 'seen'), '200 success message_offline');
    assert.equal(await camera('cam', token, 'owner', 'sent', ''), '200 success message_sent');
    assert.equal(await camera('othercam', token, 'owner', 'forged'), '401 failed unauthorized');
  }
  const times = 'start_time=2020-01-01T00:00:00Z&end_time=2100-01-01T00:00:00Z';
  const { count } = await program.call('GET', `/rtm/message/history/count?source=cam&destination=owner&${times}`);
  assert.equal(count, 4);
});

test('a poller of events hears who comes to channels and goes', async () => {
  const url = `${program.origin}/v1/apps/agora/channels/hall/presence`;
  const headers = { authorization: `Bearer ${NATIVE_KEY}` };
  await fetch(url, { method: 'POST', headers, body: JSON.stringify({ user: 'ann' }) });
  await fetch(`${url}?user=ann`, { method: 'DELETE', headers });
  const token = Builder006.buildToken(APP_ID, CERTIFICATE, 'poller', RtmRole.Rtm_User, 0);
  const poll = async (kind) => {
    const answer = await fetch(`${program.base}/rtm/vendor/${kind}`, {
      headers: { 'x-agora-token': token, 'x-agora-uid': 'poller' },
    });
    return (await answer.json()).events;
  };
  const hear = async (kind, count) => {
    const heard = [];
    while (heard.length < count) {
      heard.push(...(await poll(kind)));
    }
    return heard;
  };
  const moved = await within(hear('channel_events', 2), 'the events');
  assert.deepEqual(moved.map(({ user_id, type, group_id }) => [user_id, type, group_id]), [
    ['ann', 'Join', 'hall'],
    ['ann', 'Leave', 'hall'],
  ]);
  const online = await within(hear('user_events', 2), 'the events');
  assert.deepEqual(online.map(({ user_id, type }) => [user_id, type]), [['ann', 'Login'], ['ann', 'Logout']]);
  assert.deepEqual(await poll('channel_events'), [], 'what was read is gone');
});
