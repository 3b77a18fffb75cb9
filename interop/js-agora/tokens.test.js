// Tokens of the vendor's builders: accepted as they are, refused with any field changed.
'use strict';

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { RtcRole, RtcTokenBuilder, RtmRole, RtmTokenBuilder: Builder006 } = require('agora-access-token');
const builders007 = require('agora-token');
const { APP_ID, CERTIFICATE, OTHER_APP_ID, Program, SECONDARY } = require('./program');

let program;
before(async () => {
  program = await Program.start();
});
after(() => program.stop());

const USER = "a b!#$%&()+-:;<=.>?@[]^_{}|~,'Z9";

/** The status of a count with these headers. */
async function status(headers) {
  const times = 'start_time=2026-01-01T00:00:00Z&end_time=2027-01-01T00:00:00Z';
  const answer = await fetch(`${program.base}/rtm/message/history/count?source=a&${times}`, { headers });
  await answer.text();
  return answer.status;
}

/** Every way to show a token. */
const ways = (token, user) => [
  { 'x-agora-token': token, 'x-agora-uid': user },
  { 'X-Agora-Token': token, 'X-Agora-Uid': user },
  { authorization: `agora token=${token}`, 'x-agora-uid': user },
  { authorization: `agora token="${token}"`, 'x-agora-uid': user },
  { authorization: `agora token=${token}`, 'x-agora-token': token, 'x-agora-uid': user },
];

const build006 = (appId, certificate, user) => Builder006.buildToken(appId, certificate, user, RtmRole.Rtm_User, 0);
const build007 = (appId, certificate, user, expire = 3600) =>
  builders007.RtmTokenBuilder.buildToken(appId, certificate, user, expire);

for (const [version, build] of [['006', build006], ['007', build007]]) {
  test(`a token of version ${version} is accepted in every way, and no other is`, async () => {
    for (const certificate of [CERTIFICATE, SECONDARY]) {
      for (const headers of ways(build(APP_ID, certificate, USER), USER)) {
        assert.equal(await status(headers), 200, JSON.stringify(headers));
      }
    }
    const refused = [
      build(OTHER_APP_ID, CERTIFICATE, USER),
      build(APP_ID.toLowerCase(), CERTIFICATE, USER),
      build(APP_ID, CERTIFICATE.toLowerCase(), USER),
      build(APP_ID, OTHER_APP_ID, USER),
      build(APP_ID, CERTIFICATE, `${USER}x`),
      build(APP_ID, CERTIFICATE, ''),
      build(APP_ID, CERTIFICATE, USER).slice(0, -8),
      `${build(APP_ID, CERTIFICATE, USER)}AAAA`,
      build(APP_ID, CERTIFICATE, USER).replace(version, '005'),
    ];
    for (const token of refused) {
      for (const headers of ways(token, USER)) {
        assert.equal(await status(headers), 401, token);
      }
    }
    for (const headers of ways(build(APP_ID, CERTIFICATE, USER), 'somebody else')) {
      assert.equal(await status(headers), 401);
    }
  });
}

test('a 007 token names its user itself, a 006 token does not', async () => {
  assert.equal(await status({ authorization: `agora token=${build007(APP_ID, CERTIFICATE, USER)}` }), 200);
  assert.equal(await status({ 'x-agora-token': build007(APP_ID, CERTIFICATE, USER) }), 200);
  assert.equal(await status({ 'x-agora-token': build006(APP_ID, CERTIFICATE, USER) }), 401);
});

test('tokens for something else do not log in', async () => {
  const inAnHour = Math.floor(Date.now() / 1000) + 3600;
  const rtc006 = RtcTokenBuilder.buildTokenWithUid(APP_ID, CERTIFICATE, 'ann', 0, RtcRole.PUBLISHER, inAnHour);
  assert.equal(await status({ 'x-agora-token': rtc006, 'x-agora-uid': 'ann' }), 401);
  const { RtcTokenBuilder: Rtc007, RtcRole: Role, ChatTokenBuilder } = builders007;
  const rtc007 = Rtc007.buildTokenWithUid(APP_ID, CERTIFICATE, 'ann', 0, Role.PUBLISHER, 3600, 3600);
  assert.equal(await status({ 'x-agora-token': rtc007, 'x-agora-uid': 'ann' }), 401);
  const chat = ChatTokenBuilder.buildUserToken(APP_ID, CERTIFICATE, 'ann', 3600);
  assert.equal(await status({ 'x-agora-token': chat, 'x-agora-uid': 'ann' }), 401);
});

test('a token that has ended is refused', async () => {
  const { AccessToken2, ServiceRtm } = require('agora-token/src/AccessToken2');
  const issued = (secondsAgo, expire) => {
    const token = new AccessToken2(APP_ID, CERTIFICATE, Math.floor(Date.now() / 1000) - secondsAgo, expire);
    const service = new ServiceRtm('ann');
    service.add_privilege(ServiceRtm.kPrivilegeLogin, expire);
    token.add_service(service);
    return { 'x-agora-token': token.build() };
  };
  assert.equal(await status(issued(0, 600)), 200);
  assert.equal(await status(issued(700, 600)), 401);
  assert.equal(await status(issued(86_500, 604_800)), 401, 'none lives for more than a day');
});
