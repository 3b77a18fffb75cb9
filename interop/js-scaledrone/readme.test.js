// The five lines of the README, as they stand but for the port.
'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { test } = require('node:test');
const { Program, within } = require('./program');

test('a room with history in five lines', async () => {
  const readme = fs.readFileSync(path.join(__dirname, '..', '..', 'README.md'), 'utf8');
  const [, script] = readme.match(/```js\n([\s\S]*?)```/);
  assert.equal(script.trim().split('\n').length, 5);
  const program = await Program.start({ demo: true });
  const publish = async (body) => {
    const url = `${program.baseURL}/v1/apps/demo/channels/lobby/messages`;
    const headers = { authorization: 'Bearer demo-admin' };
    assert.ok((await fetch(url, { method: 'POST', headers, body })).ok);
  };
  await publish('[{"payload": {"text": "hello"}}, {"payload": "two", "author": "ann"}]');
  const child = spawn(process.execPath, ['-e', script.replace('127.0.0.1:7117', program.address)], {
    cwd: __dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => (await within(lines.next(), 'a line')).value;
  assert.equal(await next(), "earlier undefined { text: 'hello' }");
  assert.equal(await next(), 'earlier ann two');
  await publish('{"payload": "three"}');
  assert.equal(await next(), 'now undefined three');
  child.kill();
  await program.stop();
});
