// How VS Code shows what the server says, with a scripted server: no model, nothing is run.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { EXAMPLE, copyExamples, typeIndentation } from './example.mjs';
import {
  annotation, ghostText, installExtension, openFile, openWorkbench, ROOT, temporaryFolder, visibleLines, VSIX, waitForStatus,
  waitForText,
} from './workbench.mjs';

const PYTHON = process.env.PYTHON ?? path.join(ROOT, '.venv/bin/python');
const SCRIPTED = path.join(import.meta.dirname, 'scripted_server.py');
/** The real server with a scripted model and sandbox. */
const SCRIPTED_MODEL = path.join(ROOT, 'tests/lsp/scripted_server.py');
const TIMEOUT_MS = 20_000;
/** Typed by the keys that show other suggestions where these are not ours. */
const KEYBINDINGS = ['alt+]', 'alt+['].map((key) => ({
  key, command: 'type', args: { text: '#' }, when: 'editorTextFocus && !egcfg.hasOtherSuggestions',
}));

let extensions;
before(() => { extensions = installExtension(VSIX); });
after(() => fs.rmSync(extensions, { recursive: true, force: true }));

describe('a suggestion that grows', () => {
  let editor;
  before(async () => { editor = await openReady('grow'); });
  after(() => editor?.close());

  test('is extended without a frame lacking ghost text, then annotated', async () => {
    const { page } = editor;
    await typeIndentation(page);
    await waitForText(page, ghostText, /^tax = /, TIMEOUT_MS);
    await page.evaluate(noteFrames, `${ghostText}`);
    assert.equal(await waitForText(page, annotation, /\d/, TIMEOUT_MS), '… 1 more');
    assert.equal(await page.evaluate(ghostText), 'tax = RATES[country]');
    await waitForText(page, annotation, /✓ 3\/3/, TIMEOUT_MS);
    assert.match(await page.evaluate(ghostText), /return sum/);
    const frames = await page.evaluate(() => window.egcfgFrames);
    assert.notEqual(frames.length, 0);
    assert.equal(frames.filter((text) => text === '').length, 0, `of ${frames.length} frames`);
  });

  test('keeps its annotation while it is typed through', async () => {
    const { page } = editor;
    await page.keyboard.type('tax');
    await waitForText(page, ghostText, /^ = RATES/, TIMEOUT_MS);
    await waitForText(page, annotation, /✓ 3\/3/, TIMEOUT_MS);
  });

  test('loses its annotation when the cursor leaves', async () => {
    const { page } = editor;
    await page.keyboard.press('ArrowUp');
    await waitForText(page, annotation, /^$/, TIMEOUT_MS);
    await waitForText(page, ghostText, /^$/, TIMEOUT_MS);
  });

  test('stays away after Escape', async () => {
    const { page } = editor;
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('End');
    await page.keyboard.type(' ');
    await waitForText(page, ghostText, /^= RATES/, TIMEOUT_MS);
    await page.keyboard.press('Escape');
    await waitForText(page, ghostText, /^$/, TIMEOUT_MS);
    // Longer than the script: nothing the server still says may bring it back.
    await page.waitForTimeout(2500);
    assert.equal(await page.evaluate(ghostText), '');
    assert.equal(await page.evaluate(annotation), '');
  });

  test('leaves the keys for others alone, without ghost text and as there are none', async () => {
    const { page } = editor;
    await page.keyboard.press('Alt+]');
    await waitForText(page, visibleLines, /^ {4}tax #$/m, TIMEOUT_MS);
    await page.keyboard.press('Backspace');
    await page.keyboard.type('=');
    await waitForText(page, annotation, /✓ 3\/3/, TIMEOUT_MS);
    await page.keyboard.press('Alt+[');
    await waitForText(page, visibleLines, /^ {4}tax =#$/m, TIMEOUT_MS);
  });
});

describe('a suggestion that a better one replaces', () => {
  let editor;
  before(async () => { editor = await openReady('swap'); });
  after(() => editor?.close());

  test('is annotated as failing, then replaced, and the better one is accepted with Tab', async () => {
    const { page } = editor;
    await typeIndentation(page);
    await waitForText(page, annotation, /✗ 2\/3/, TIMEOUT_MS);
    assert.match(await page.evaluate(ghostText), /RATES\[country\]/);
    await waitForText(page, annotation, /✓ 3\/3/, TIMEOUT_MS);
    await waitForText(page, ghostText, /RATES\.get/, TIMEOUT_MS);
    await page.keyboard.press('Tab');
    await waitForText(page, annotation, /^$/, TIMEOUT_MS);
    await waitForStatus(page, 'accepted', TIMEOUT_MS);
    await waitForText(page, ghostText, /^$/, TIMEOUT_MS);
    assert.match(await page.evaluate(visibleLines), /^ {4}tax = RATES\.get\(country, 0\)\n {4}return sum/m);
  });
});

describe('several suggestions', () => {
  let editor;
  let gate;
  before(async () => {
    gate = path.join(temporaryFolder('gate'), 'open');
    fs.writeFileSync(gate, '');
    process.env.EGCFG_GATE = gate;
    editor = await openReady('several');
  });
  after(async () => {
    delete process.env.EGCFG_GATE;
    await editor?.close();
    fs.rmSync(path.dirname(gate), { recursive: true, force: true });
  });

  test('are looked at in turn, each with its outcome and which one it is', async () => {
    const { page } = editor;
    await typeIndentation(page);
    await waitForText(page, annotation, /^✗ 2\/3/, TIMEOUT_MS);
    for (const [key, summary, text] of [
      ['Alt+]', /^2\/3 · ✗ 1\/3$/, /return sum/],
      ['Alt+]', /^3\/3 · ✗ 0\/3$/, /return tax/],
      ['Alt+]', /^✗ 2\/3$/, /return 1 \+ tax/],
      ['Alt+[', /^3\/3 · ✗ 0\/3$/, /return tax/],
      ['Alt+[', /^2\/3 · ✗ 1\/3$/, /return sum/],
    ]) {
      await page.keyboard.press(key);
      await waitForText(page, annotation, summary, TIMEOUT_MS);
      await waitForText(page, ghostText, text, TIMEOUT_MS);
    }
    assert.doesNotMatch(await page.evaluate(visibleLines), /#/);
  });

  test('a better one that comes does not take away the one that is looked at', async () => {
    const { page } = editor;
    fs.appendFileSync(gate, '.');
    await waitForText(page, annotation, /^3\/4 · ✗ 1\/3$/, TIMEOUT_MS);
    // Longer than a refresh takes.
    await page.waitForTimeout(1000);
    assert.match(await page.evaluate(ghostText), /return sum/);
    assert.equal(await page.evaluate(annotation), '3/4 · ✗ 1/3');
  });

  test('the best takes the place of one that is gone', async () => {
    const { page } = editor;
    fs.appendFileSync(gate, '.');
    await waitForText(page, annotation, /^✓ 3\/3$/, TIMEOUT_MS);
    await waitForText(page, ghostText, /RATES\.get/, TIMEOUT_MS);
  });

  test('another one is accepted with Tab, by its own id', async () => {
    const { page } = editor;
    await page.keyboard.press('Alt+]');
    await waitForText(page, annotation, /^2\/2 · ✗ 2\/3$/, TIMEOUT_MS);
    await waitForText(page, ghostText, /return 1 \+ tax/, TIMEOUT_MS);
    await page.keyboard.press('Tab');
    await waitForStatus(page, 'accepted c', TIMEOUT_MS);
    assert.match(await page.evaluate(visibleLines), /^ {4}tax = RATES\[country\]\n {4}return 1 \+ tax$/m);
  });
});

test('what follows a draft that fails: a better one, and the draft where it is wanted', async () => {
  const first = 'tax = RATES[country]\n';
  const second = '    return sum(n * price for n, price in items) * (1 + tax)\n';
  process.env.EGCFG_SCRIPT = JSON.stringify({
    lines: [`    ${first}`, second],
    runners_up: { [first]: ['tax = RATES.get(country, 0)\n', 0.2], [second]: ['    return tax\n', 0.1] },
    delay: 0.3,
    passes_if: 'RATES.get(country, 0)\n    return sum',
  });
  const editor = await open('', [PYTHON, SCRIPTED_MODEL]);
  const { page } = editor;
  try {
    await waitForStatus(page, 'ready', TIMEOUT_MS);
    await typeIndentation(page);
    await waitForText(page, annotation, /^✗ 0\/3/, TIMEOUT_MS);
    assert.match(await page.evaluate(ghostText), /^tax = RATES\[country\]/);
    await waitForText(page, annotation, /^✓ 3\/3$/, TIMEOUT_MS);
    await waitForText(page, ghostText, /^tax = RATES\.get/, TIMEOUT_MS);
    await page.keyboard.press('Alt+]');
    await waitForText(page, annotation, /^2\/3 · ✗ 0\/3/, TIMEOUT_MS);
    await waitForText(page, ghostText, /^tax = RATES\[country\]/, TIMEOUT_MS);
    await page.evaluate(noteFrames, `${ghostText}`);
    for (const [key, left] of [['t', /^ax = R/], ['a', /^x = R/], ['x', /^ = R/], [' ', /^= R/], ['=', /^ R/], [' ', /^R/]]) {
      await page.keyboard.type(key);
      await waitForText(page, ghostText, left, TIMEOUT_MS);
      await waitForText(page, annotation, /^2\/3 · ✗ 0\/3/, TIMEOUT_MS);
    }
    const frames = await page.evaluate(() => window.egcfgFrames);
    assert.notEqual(frames.length, 0);
    assert.deepEqual(frames.filter((text) => !/RATES\[country\]/.test(text)), []);
    await page.keyboard.press('Tab');
    await waitForText(page, ghostText, /^$/, TIMEOUT_MS);
    assert.match(await page.evaluate(visibleLines), /^ {4}tax = RATES\[country\]\n {4}return sum/m);
  } finally {
    await editor.close();
    delete process.env.EGCFG_SCRIPT;
  }
});

test('a suggestion survives a bracket that VS Code closes, and replaces it', async () => {
  process.env.EGCFG_SCRIPT = JSON.stringify({
    lines: ['    tax = RATES.get(country, 0)\n', '    return sum(n * price for n, price in items) * (1 + tax)\n'],
    passes_if: 'RATES.get(country, 0)\n    return sum',
  });
  const editor = await open('', [PYTHON, SCRIPTED_MODEL]);
  const { page } = editor;
  try {
    await waitForStatus(page, 'ready', TIMEOUT_MS);
    await typeIndentation(page);
    await waitForText(page, annotation, /✓ 3\/3/, TIMEOUT_MS);
    await page.keyboard.type('tax = RATES.get(');
    await waitForText(page, visibleLines, /RATES\.get\(.*\)/, TIMEOUT_MS);
    await waitForText(page, ghostText, /^country, 0/, TIMEOUT_MS);
    await waitForText(page, annotation, /✓ 3\/3/, TIMEOUT_MS);
    await page.keyboard.press('Tab');
    await waitForText(page, ghostText, /^$/, TIMEOUT_MS);
    assert.match(await page.evaluate(visibleLines), /^ {4}tax = RATES\.get\(country, 0\)\n {4}return sum\(n \* price for n, price in items\) \* \(1 \+ tax\)$/m);
  } finally {
    await editor.close();
    delete process.env.EGCFG_SCRIPT;
  }
});

test('a server that can not be started is told once, with what to do', async () => {
  const editor = await open('grow', ['egcfg-no-such-program']);
  try {
    const notification = editor.page.locator('.notification-list-item-message', { hasText: 'pip install egcfg-lsp' });
    await notification.waitFor();
    assert.equal(await editor.page.locator('.notification-list-item-message').count(), 1);
  } finally {
    await editor.close();
  }
});

async function openReady(script) {
  const editor = await open(script);
  await waitForStatus(editor.page, 'ready', TIMEOUT_MS);
  return editor;
}

async function open(script, serverCommand = [PYTHON, SCRIPTED, script]) {
  const workspace = copyExamples();
  const machineSettings = { 'egcfg.serverCommand': serverCommand };
  const { page, close } = await openWorkbench({ workspace, extensions, machineSettings, keybindings: KEYBINDINGS });
  await openFile(page, EXAMPLE.file, EXAMPLE.line);
  return { page, close: async () => { await close(); fs.rmSync(workspace, { recursive: true, force: true }); } };
}

/** In the page: notes into `window.egcfgFrames` the ghost text of each frame that is painted. */
function noteFrames(ghostTextSource) {
  const read = new Function(`return (${ghostTextSource})()`);
  const frames = [];
  window.egcfgFrames = frames;
  // A message posted in a frame's callback arrives after that frame is painted.
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => frames.push(read());
  const next = () => { port2.postMessage(0); requestAnimationFrame(next); };
  requestAnimationFrame(next);
}
