// protocols/pubnub.md §11: signatures, tokens and the older grants on a keyset that asks for rights.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { connect, Ear, freshChannel } from '../clients.mjs';
import { GUARDED_KEYS, Program } from '../program.mjs';

const { publishKey, subscribeKey, secretKey } = GUARDED_KEYS;
let program, administrator;
const open = [];
before(async () => {
  program = await Program.start();
  administrator = connect(program, 'administrator', GUARDED_KEYS);
});
afterEach(() => {
  for (const client of open.splice(0)) {
    client.unsubscribeAll();
    client.stop();
  }
});
after(async () => {
  administrator.stop();
  await program.stop();
});

function user(name, token, options = {}) {
  const client = connect(program, name, { publishKey, subscribeKey, ...options });
  if (token) client.setToken(token);
  open.push(client);
  return client;
}

const forbidden = (message) => (error) => {
  assert.equal(error.status.statusCode, 403, JSON.stringify(error.status));
  if (message) assert.match(JSON.stringify(error.status.errorData), message);
  return true;
};

const grant = (channels, options = {}) =>
  administrator.grantToken({ ttl: 15, resources: { channels }, ...options });

for (const sendByPost of [false, true]) {
  test(`the secret key may everything, ${sendByPost ? 'POST' : 'GET'}`, async () => {
    const channel = freshChannel('signed ~!*() 🎉');
    await administrator.publish({ channel, message: { text: '~ !*() 🎉' }, sendByPost, meta: { a: "~'()" } });
    const { channels } = await administrator.fetchMessages({ channels: [channel], count: 10 });
    assert.equal(Object.values(channels)[0].length, 1);
  });
}

test('nobody may anything', async () => {
  const channel = freshChannel();
  const stranger = user('stranger');
  await assert.rejects(stranger.publish({ channel, message: 1 }), forbidden(new RegExp(channel)));
  await assert.rejects(stranger.fetchMessages({ channels: [channel] }), forbidden());
  await assert.rejects(stranger.history({ channel }), forbidden());
  await assert.rejects(stranger.messageCounts({ channels: [channel], channelTimetokens: ['1'] }), forbidden());
});

test('a wrong secret is refused', async () => {
  const thief = user('thief', undefined, { secretKey: 'sec-c-wrong' });
  await assert.rejects(thief.publish({ channel: 'a', message: 1 }), forbidden(/Invalid Signature/));
  await assert.rejects(thief.grantToken({ ttl: 1, resources: { channels: { a: { read: true } } } }), forbidden());
});

test('a token gives what it says, where it says', async () => {
  const [channel, other] = [freshChannel(), freshChannel()];
  const token = await grant({ [channel]: { read: true, write: true } });
  const client = user('ann', token);
  await client.publish({ channel, message: 'mine' });
  const { channels } = await client.fetchMessages({ channels: [channel], count: 10 });
  assert.equal(channels[channel][0].message, 'mine');
  await assert.rejects(client.publish({ channel: other, message: 1 }), forbidden(new RegExp(other)));
  await assert.rejects(client.fetchMessages({ channels: [channel, other], count: 10 }), forbidden(new RegExp(other)));
  const reader = user('bob', await grant({ [channel]: { read: true } }));
  await assert.rejects(reader.publish({ channel, message: 1 }), forbidden());
});

test('the client reads what a token says', async () => {
  const token = await administrator.grantToken({
    ttl: 60,
    authorized_uuid: 'ann',
    resources: { channels: { 'room-1': { read: true, write: true } }, uuids: { ann: { get: true } } },
    patterns: { channels: { '^room-.*$': { read: true } } },
    meta: { score: 7 },
  });
  const parsed = administrator.parseToken(token);
  assert.equal(parsed.ttl, 60);
  assert.equal(parsed.authorized_uuid, 'ann');
  assert.equal(parsed.resources.channels['room-1'].write, true);
  assert.equal(parsed.patterns.channels['^room-.*$'].read, true);
  assert.deepEqual(parsed.meta, { score: 7 });
});

test('patterns cover names', async () => {
  const prefix = freshChannel('room');
  const token = await administrator.grantToken({ ttl: 5, patterns: { channels: { [`^${prefix}-[0-9]+$`]: { write: true } } } });
  const client = user('ann', token);
  await client.publish({ channel: `${prefix}-12`, message: 1 });
  await assert.rejects(client.publish({ channel: `${prefix}-x`, message: 1 }), forbidden());
});

test('a token for one user is no good for another', async () => {
  const channel = freshChannel();
  const token = await grant({ [channel]: { write: true } }, { authorized_uuid: 'ann' });
  await user('ann', token).publish({ channel, message: 1 });
  await assert.rejects(user('bob', token).publish({ channel, message: 1 }), forbidden());
});

test('a revoked token is refused, also after a restart', async () => {
  const channel = freshChannel();
  const token = await grant({ [channel]: { write: true } });
  const client = user('ann', token);
  await client.publish({ channel, message: 1 });
  await administrator.revokeToken(token);
  await assert.rejects(client.publish({ channel, message: 2 }), forbidden(/revoked/));
  await program.killAndRestart();
  await assert.rejects(client.publish({ channel, message: 3 }), forbidden(/revoked/));
});

test('a token survives a restart', async () => {
  const channel = freshChannel();
  const client = user('ann', await grant({ [channel]: { write: true } }));
  await program.killAndRestart();
  await client.publish({ channel, message: 1 });
});

test('a changed token is refused', async () => {
  const channel = freshChannel();
  const token = await grant({ [channel]: { write: true } });
  const middle = Math.floor(token.length / 2);
  const changed = token.slice(0, middle) + (token[middle] === 'A' ? 'B' : 'A') + token.slice(middle + 1);
  await assert.rejects(user('ann', changed).publish({ channel, message: 1 }), forbidden());
});

test('subscribing needs to read, and says what is denied', async () => {
  const channel = freshChannel();
  const allowed = user('ann', await grant({ [channel]: { read: true } }));
  const ear = new Ear(allowed);
  allowed.subscribe({ channels: [channel] });
  await ear.connected();
  await administrator.publish({ channel, message: 'heard' });
  assert.equal((await ear.events('message'))[0].message, 'heard');
  const denied = user('bob');
  const deaf = new Ear(denied);
  denied.subscribe({ channels: [channel] });
  await deaf.events('status', 1, (status) => status.category === 'PNAccessDeniedCategory');
});

/** The same grant as if it had been made earlier, sealed as the server seals its tokens: nobody waits for a minute here. */
function aged(token, seconds) {
  const keyed = (key, ...parts) => parts.reduce((mac, part) => mac.update(part), createHmac('sha256', key)).digest();
  const seal = keyed(secretKey, 'scrollback: pubnub access token\0', subscribeKey);
  const cbor = Buffer.from(token, 'base64url');
  const issued = cbor.indexOf(Buffer.from([0x41, 0x74, 0x1a])) + 3;
  cbor.writeUInt32BE(cbor.readUInt32BE(issued) - seconds, issued);
  const head = cbor.length - 38;
  keyed(seal, cbor.subarray(0, head)).copy(cbor, cbor.length - 32);
  return cbor.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
}

test('a token that has ended is refused', async () => {
  const channel = freshChannel();
  const token = await administrator.grantToken({ ttl: 1, resources: { channels: { [channel]: { write: true } } } });
  await user('ann', aged(token, 0)).publish({ channel, message: 1 });
  await assert.rejects(user('ann', aged(token, 60)).publish({ channel, message: 1 }), forbidden(/Token is expired/));
});

for (const enableEventEngine of [false, true]) {
  test(`a poll that is held ends with its token (event engine: ${enableEventEngine})`, async () => {
    const channel = freshChannel();
    const token = await administrator.grantToken({ ttl: 1, resources: { channels: { [channel]: { read: true } } } });
    const client = user('ann', aged(token, 57), { enableEventEngine });
    const ear = new Ear(client);
    client.subscribe({ channels: [channel] });
    await ear.connected();
    await administrator.publish({ channel, message: 'in time' });
    assert.equal((await ear.events('message'))[0].message, 'in time');
    const lost = ({ category }) => category !== 'PNConnectedCategory';
    const [status] = await ear.events('status', 1, lost);
    assert.equal(status.category, 'PNAccessDeniedCategory');
    await administrator.publish({ channel, message: 'too late' });
    assert.equal(ear.heard.message.length, 1);
  });
}

test('who is there is asked and said with a signature', async () => {
  const channel = freshChannel('signed ~!*() 🎉');
  const client = user('boss', undefined, { secretKey });
  const ear = new Ear(client);
  client.subscribe({ channels: [channel], withPresence: true });
  await ear.connected();
  await client.setState({ channels: [channel], state: { mood: "~'()!" } });
  const { channels } = await administrator.hereNow({ channels: [channel], includeUUIDs: true, includeState: true });
  assert.deepEqual(channels[channel].occupants, [{ uuid: 'boss', state: { mood: "~'()!" } }]);
  assert.deepEqual((await administrator.whereNow({ uuid: 'boss' })).channels, [channel]);
  assert.deepEqual((await client.getState({ channels: [channel] })).channels[channel], { mood: "~'()!" });
  assert.ok((await administrator.hereNow({ channels: [], includeUUIDs: true })).channels[channel]);
  await assert.rejects(user('eve').hereNow({ channels: [channel] }), forbidden());
  const reader = user('bob', await grant({ [channel]: { read: true } }));
  assert.equal((await reader.hereNow({ channels: [channel] })).totalOccupancy, 1);
  client.unsubscribe({ channels: [channel] });
  await ear.events('presence', 1, ({ action }) => action === 'state-change');
});

test('senseless grants are refused as the vendor does', async () => {
  const refused = (message) => (error) => {
    assert.equal(error.status.statusCode, 400, JSON.stringify(error.status));
    assert.match(JSON.stringify(error.status.errorData), message);
    return true;
  };
  const resources = { channels: { a: { read: true } } };
  await assert.rejects(administrator.grantToken({ ttl: 43_201, resources }), refused(/Range should be 1 to 43200/));
  await assert.rejects(
    administrator.grantToken({ ttl: 5, patterns: { channels: { '(': { read: true } } } }),
    refused(/RegExp/),
  );
  await assert.rejects(administrator.revokeToken('nonsense'), refused(/Invalid token/));
});

test('older grants: to everybody and to auth keys', async () => {
  const [everybody, keyed] = [freshChannel(), freshChannel()];
  await administrator.grant({ channels: [everybody], read: true, write: true, ttl: 5 });
  await administrator.grant({ channels: [keyed], authKeys: ['key-1'], read: true, write: true, ttl: 5 });
  await user('ann').publish({ channel: everybody, message: 1 });
  await assert.rejects(user('ann').publish({ channel: keyed, message: 1 }), forbidden());
  await user('ann', undefined, { authKey: 'key-1' }).publish({ channel: keyed, message: 1 });
  const audit = await administrator.audit({ channel: keyed, authKeys: ['key-1'] });
  assert.deepEqual(audit.auths['key-1'].w, 1);
  await administrator.grant({ channels: [keyed], authKeys: ['key-1'], read: false, write: false, ttl: 5 });
  await assert.rejects(user('ann', undefined, { authKey: 'key-1' }).publish({ channel: keyed, message: 1 }), forbidden());
});

test('a signature lives for a minute, and is for one request', async () => {
  assert.ok(secretKey);
  const old = Math.floor(Date.now() / 1000) - 120;
  const query = new URLSearchParams({ timestamp: String(old), signature: 'v2.AAAA' });
  const answer = await fetch(`http://${program.origin}/publish/${publishKey}/${subscribeKey}/0/a/0/1?${query}`);
  assert.equal(answer.status, 400);
  assert.equal((await answer.json()).message, 'Invalid Timestamp');
});
