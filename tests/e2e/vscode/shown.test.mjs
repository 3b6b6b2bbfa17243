// How VS Code shows what the server says, with a scripted server: no model, nothing is run.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { EXAMPLE, copyExamples, typeIndentation } from './example.mjs';
import { annotation, ghostText, installExtension, openFile, openWorkbench, ROOT, visibleLines, VSIX, waitForStatus, waitForText } from './workbench.mjs';

const PYTHON = process.env.PYTHON ?? path.join(ROOT, '.venv/bin/python');
const SCRIPTED = path.join(import.meta.dirname, 'scripted_server.py');
/** The real server with a scripted model and sandbox. */
const SCRIPTED_MODEL = path.join(ROOT, 'tests/lsp/scripted_server.py');
const TIMEOUT_MS = 20_000;

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
    await page.evaluate(countFrames, `${ghostText}`);
    assert.equal(await waitForText(page, annotation, /\d/, TIMEOUT_MS), '… 1 more');
    assert.equal(await page.evaluate(ghostText), 'tax = RATES[country]');
    await waitForText(page, annotation, /✓ 3\/3/, TIMEOUT_MS);
    assert.match(await page.evaluate(ghostText), /return sum/);
    const frames = await page.evaluate(() => window.egcfgFrames);
    assert.equal(frames.blank, 0, `of ${frames.all} frames`);
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
  const { page, close } = await openWorkbench({ workspace, extensions, machineSettings: { 'egcfg.serverCommand': serverCommand } });
  await openFile(page, EXAMPLE.file, EXAMPLE.line);
  return { page, close: async () => { await close(); fs.rmSync(workspace, { recursive: true, force: true }); } };
}

/** In the page: counts frames into `window.egcfgFrames`, those painted without ghost text apart. */
function countFrames(ghostTextSource) {
  const read = new Function(`return (${ghostTextSource})()`);
  const frames = { all: 0, blank: 0 };
  window.egcfgFrames = frames;
  // A message posted in a frame's callback arrives after that frame is painted.
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => { frames.all++; frames.blank += read() === '' ? 1 : 0; };
  const next = () => { port2.postMessage(0); requestAnimationFrame(next); };
  requestAnimationFrame(next);
}
