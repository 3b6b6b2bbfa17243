// *Explain trace* in VS Code: the real server and sandbox with a scripted model.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { EXAMPLE, copyExamples, typeIndentation } from './example.mjs';
import { annotation, installExtension, openFile, openWorkbench, ROOT, showTab, VSIX, waitForStatus, waitForText } from './workbench.mjs';

const PYTHON = process.env.PYTHON ?? path.join(ROOT, '.venv/bin/python');
const SERVER = [PYTHON, path.join(ROOT, 'tests/lsp/scripted_server.py')];
const SCRIPT = {
  lines: ['    tax = TAX_RATES[country]\n', '    return sum(n * price for n, price in items) * (1 + tax)\n'],
  kernel: true,
};
const TIMEOUT_MS = 60_000;

let extensions;
before(() => { extensions = installExtension(VSIX); });
after(() => fs.rmSync(extensions, { recursive: true, force: true }));

describe('explain trace', () => {
  let editor;
  let workspace;
  before(async () => {
    process.env.EGCFG_SCRIPT = JSON.stringify(SCRIPT);
    workspace = copyExamples();
    editor = await openWorkbench({ workspace, extensions, machineSettings: { 'egcfg.serverCommand': SERVER } });
    await openFile(editor.page, EXAMPLE.file, EXAMPLE.line);
    await waitForStatus(editor.page, 'ready', TIMEOUT_MS);
  });
  after(async () => {
    delete process.env.EGCFG_SCRIPT;
    await editor?.close();
    fs.rmSync(workspace, { recursive: true, force: true });
  });

  test('of the suggestion shown, by its key, as a preview beside the code', async () => {
    const { page } = editor;
    await typeIndentation(page);
    await waitForText(page, annotation, /✗ 2\/3/, TIMEOUT_MS);
    await page.keyboard.press('Control+Alt+e');
    const text = await previewText(page, /KeyError/);
    assert.match(text, /Trace of total/);
    assert.match(text, /tax = TAX_RATES\[country\]/);
    if (process.env.SCREENSHOT_DIR) {
      await page.screenshot({ path: path.join(process.env.SCREENSHOT_DIR, 'vscode-trace.png') });
    }
  });

  test('of the function as it is, by the command, in the same preview', async () => {
    const { page } = editor;
    await showTab(page, EXAMPLE.file);
    await page.locator('.editor-instance .monaco-editor.focused').first().waitFor();
    await page.keyboard.type('return 0');
    await page.keyboard.press('Escape');
    await page.keyboard.press('F1');
    await page.locator('.quick-input-widget input').fill('>egcfg: Explain Trace');
    await page.locator('.quick-input-list .monaco-list-row').filter({ hasText: 'Explain Trace' }).first().click();
    assert.match(await previewText(page, /return 0/), /✗ \d\/3/);
  });
});

/** What the Markdown preview shows once it matches. */
async function previewText(page, pattern) {
  const deadline = Date.now() + TIMEOUT_MS;
  let text = '';
  while (Date.now() < deadline) {
    for (const frame of page.frames()) {
      const body = await frame.locator('.markdown-body').first().textContent({ timeout: 500 }).catch(() => undefined);
      text = body ?? text;
      if (body !== undefined && pattern.test(body)) {
        return body;
      }
    }
    await page.waitForTimeout(200);
  }
  await page.screenshot({ path: path.join(ROOT, 'build/e2e-vscode/failure.png') });
  throw new Error(`the preview says ${JSON.stringify(text)}, which does not match ${pattern}`);
}
