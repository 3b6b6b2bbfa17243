// The whole way in VS Code: the real server, the real model, the example's tests.
// What the model writes is not asserted, only that it is shown, run where trusted, and accepted.
//
// SERVER_COMMAND: the server as a JSON array; SCREENSHOT_DIR: where vscode.png is written.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { EXAMPLE, copyExamples, typeIndentation } from './example.mjs';
import {
  annotation, ghostText, grantTrust, installExtension, openFile, openWorkbench, ROOT, showTab, steadyText,
  temporaryFolder, visibleLines, VSIX, waitForStatus, waitForText,
} from './workbench.mjs';

const SERVER_COMMAND = JSON.parse(process.env.SERVER_COMMAND ?? JSON.stringify([path.join(ROOT, '.venv/bin/egcfg-lsp')]));
/** Loading the model and decoding with it, on two slow cores. */
const TIMEOUT_MS = 120_000;

let extensions;
before(() => { extensions = installExtension(VSIX); });
after(() => fs.rmSync(extensions, { recursive: true, force: true }));

test('a trusted workspace: ghost text, its outcome, accepted with Tab', async () => {
  await withEditor({ checksTrust: false }, async (page) => {
    await typeIndentation(page);
    await waitForText(page, ghostText, /\S/, TIMEOUT_MS);
    await waitForText(page, annotation, /[✓✗]/, TIMEOUT_MS);
    // A better one may take the place of one that fails.
    await waitForStatus(page, 'ready', TIMEOUT_MS);
    const suggested = await steadyText(page, ghostText);
    if (process.env.SCREENSHOT_DIR) {
      fs.mkdirSync(process.env.SCREENSHOT_DIR, { recursive: true });
      await page.screenshot({ path: path.join(process.env.SCREENSHOT_DIR, 'vscode.png') });
    }
    await page.keyboard.press('Tab');
    await page.locator('[id="status.editor.selection"]').filter({ hasNotText: EXAMPLE.cursor }).waitFor();
    const body = (await page.evaluate(visibleLines)).split('\n').slice(EXAMPLE.line - 1).join('');
    assert.ok(squeeze(body).startsWith(squeeze(suggested)), `${JSON.stringify(suggested)} is not in ${JSON.stringify(body)}`);
  });
});

test('an untrusted workspace is completed but not run, until trust is granted', async () => {
  await withEditor({ checksTrust: true }, async (page) => {
    await typeIndentation(page);
    await waitForText(page, ghostText, /\S/, TIMEOUT_MS);
    assert.match(await waitForText(page, annotation, /[✓✗⊘]/, TIMEOUT_MS), /⊘ not run/);
    await grantTrust(page);
    await showTab(page, EXAMPLE.file);
    await typeIndentation(page);
    await waitForText(page, annotation, /[✓✗]/, TIMEOUT_MS);
  });
});

test('the settings of a workspace do not choose what is executed', async () => {
  const folder = temporaryFolder('canary');
  const canary = path.join(folder, 'executed');
  const workspaceSettings = { 'egcfg.serverCommand': ['touch', canary], 'egcfg.interpreter': '/bin/false' };
  await withEditor({ checksTrust: false, workspaceSettings }, async () => {
    assert.equal(fs.existsSync(canary), false);
  });
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Runs `use` with VS Code on a copy of the examples, the unfinished function opened and the server ready. */
async function withEditor({ checksTrust, workspaceSettings }, use) {
  const workspace = copyExamples();
  if (workspaceSettings !== undefined) {
    fs.mkdirSync(path.join(workspace, '.vscode'));
    fs.writeFileSync(path.join(workspace, '.vscode/settings.json'), JSON.stringify(workspaceSettings));
  }
  const machineSettings = { 'egcfg.serverCommand': SERVER_COMMAND };
  const { page, close } = await openWorkbench({ workspace, extensions, machineSettings, checksTrust });
  try {
    await openFile(page, EXAMPLE.file, EXAMPLE.line);
    await waitForStatus(page, 'ready', TIMEOUT_MS);
    await use(page);
  } finally {
    await close();
    fs.rmSync(workspace, { recursive: true, force: true });
  }
}

function squeeze(text) {
  return text.replaceAll(/\s/g, '');
}
