// Starts VS Code (code-server) and a headless Chromium on it, and reads what the editor shows.
// Knows nothing of completions beyond the classes VS Code gives to ghost text and attachments.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';

export const ROOT = path.resolve(import.meta.dirname, '../../..');
export const VSIX = path.join(ROOT, 'editors/vscode/egcfg-lsp.vsix');

const INSTALLED = path.join(ROOT, 'build/e2e-vscode');
const CODE_SERVER = path.join(INSTALLED, 'node_modules/code-server/out/node/entry.js');
const { chromium } = createRequire(path.join(INSTALLED, 'package.json'))('playwright-core');

const CHROMIUM_ARGS = [
  '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** Nothing on the screen but the file, its tab and the status bar; no other suggestions than ours. */
const SETTINGS = {
  'breadcrumbs.enabled': false,
  'editor.fontFamily': 'DejaVu Sans Mono',
  'editor.fontSize': 16,
  'editor.scrollBeyondLastColumn': 0,
  'editor.lightbulb.enabled': 'off',
  'editor.minimap.enabled': false,
  'editor.quickSuggestions': { other: 'off' },
  'files.autoSave': 'off',
  'security.workspace.trust.banner': 'never',
  'security.workspace.trust.startupPrompt': 'never',
  'window.commandCenter': false,
  'workbench.activityBar.location': 'hidden',
  'workbench.colorTheme': 'Default Dark Modern',
  'workbench.layoutControl.enabled': false,
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
};

export function temporaryFolder(name) {
  return fs.mkdtempSync(path.join(os.tmpdir(), `egcfg-e2e-${name}-`));
}

/** A folder of extensions with `vsix` in it. */
export function installExtension(vsix) {
  const folder = temporaryFolder('extensions');
  const data = temporaryFolder('data');
  const { status, stdout, stderr } = spawnSync(
    process.execPath, [CODE_SERVER, '--extensions-dir', folder, '--user-data-dir', data, '--install-extension', vsix],
    { encoding: 'utf8' },
  );
  fs.rmSync(data, { recursive: true, force: true });
  if (status !== 0) {
    throw new Error(`--install-extension ${vsix}: ${stdout}${stderr}`);
  }
  return folder;
}

/**
 * VS Code on `workspace` in a browser.
 *
 * `machineSettings`: settings of the user for this machine; `keybindings`: keys of the user's, before
 * those of extensions; `checksTrust`: whether the workspace starts in Restricted Mode, else every
 * workspace is trusted.
 */
export async function openWorkbench({ workspace, extensions, machineSettings = {}, keybindings = [], checksTrust = false }) {
  const data = temporaryFolder('data');
  writeJson(path.join(data, 'User/settings.json'), SETTINGS);
  writeJson(path.join(data, 'User/keybindings.json'), keybindings);
  writeJson(path.join(data, 'Machine/settings.json'), machineSettings);
  const server = spawn(process.execPath, [
    CODE_SERVER, '--bind-addr', '127.0.0.1:0', '--auth', 'none', '--disable-telemetry', '--disable-update-check',
    ...(checksTrust ? [] : ['--disable-workspace-trust']),
    '--config', path.join(data, 'config.yaml'), '--user-data-dir', data, '--extensions-dir', extensions, workspace,
  ], { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, XDG_STATE_HOME: path.join(data, 'state') } });
  const close = async () => {
    await browser?.close();
    if (server.exitCode === null && server.signalCode === null) {
      // code-server and its children are a process group of their own.
      process.kill(-server.pid, 'SIGTERM');
      await once(server, 'exit');
    }
    fs.rmSync(data, { recursive: true, force: true });
  };
  let browser;
  try {
    const address = await listeningAddress(server);
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: CHROMIUM_ARGS });
    const page = await browser.newPage({ viewport: { width: 1200, height: 700 } });
    page.setDefaultTimeout(60_000);
    await page.goto(`${address}?folder=${encodeURIComponent(workspace)}`);
    await page.locator('.monaco-workbench').waitFor();
    await page.locator('.part.sidebar').waitFor();
    await page.keyboard.press('Control+b');
    await page.locator('.part.sidebar').waitFor({ state: 'hidden' });
    return { page, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function listeningAddress(server) {
  let log = '';
  return new Promise((resolve, reject) => {
    const read = (chunk) => {
      log += chunk;
      const address = /HTTP server listening on (\S+)/.exec(log);
      if (address) {
        resolve(address[1]);
      }
    };
    server.stdout.on('data', read);
    server.stderr.on('data', read);
    server.on('exit', (code) => reject(new Error(`code-server ended with ${code}:\n${log}`)));
  });
}

/** Waits until the status bar's item of our extension has a message that contains `text`. */
export async function waitForStatus(page, text, timeout) {
  await page.locator(`[id="egcfg.egcfg-lsp.egcfg.status"][aria-label*="${text}"]`).waitFor({ timeout });
}

/** Goes back to the tab of a file that is open, and into its text. */
export async function showTab(page, file) {
  await page.getByRole('tab', { name: path.basename(file) }).click();
  await waitForFocus(page);
}

/** Waits until what is typed goes into a text: the status bar knows an editor before that has the focus. */
export async function waitForFocus(page) {
  await page.locator('.editor-instance .monaco-editor.focused .view-line').first().waitFor();
}

/** Grants trust in the workspace the way a person does, in the workspace trust editor, and leaves that open. */
export async function grantTrust(page) {
  await page.keyboard.press('F1');
  await page.locator('.quick-input-widget input').fill('>Workspaces: Manage Workspace Trust');
  await page.locator('.quick-input-list .monaco-list-row').filter({ hasText: 'Manage Workspace Trust' }).first().click();
  await page.locator('.workspace-trust-editor .monaco-button', { hasText: /^Trust$/ }).click();
  await page.locator('.workspace-trust-editor', { hasText: 'You trust this folder' }).waitFor();
}

/** Opens `file` of the workspace with the cursor at the end of a line (one-based). */
export async function openFile(page, file, line) {
  await page.keyboard.press('Control+p');
  await page.locator('.quick-input-widget input').fill(`${file}:${line}`);
  await page.locator('.quick-input-list .monaco-list-row').filter({ hasText: path.basename(file) }).first().waitFor();
  await page.keyboard.press('Enter');
  await page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
  await waitForFocus(page);
  await page.locator('[id="status.editor.selection"]', { hasText: `Ln ${line},` }).waitFor();
  await page.keyboard.press('End');
}

/** In the page: the ghost text from top to bottom, its lines run together; '' if there is none. */
export function ghostText() {
  const parts = [...document.querySelectorAll('.monaco-editor [class*="ghost-text"]')];
  const tops = new Map(parts.map((part) => [part, part.getBoundingClientRect().top]));
  parts.sort((a, b) => tops.get(a) - tops.get(b));
  return parts.map((part) => part.textContent).join('').replaceAll('\u00a0', ' ');
}

/** In the page: the visible lines of the document, ghost text in them included. */
export function visibleLines() {
  const lines = [...document.querySelectorAll('.monaco-editor .view-line')];
  lines.sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top);
  return lines.map((line) => line.textContent).join('\n').replaceAll('\u00a0', ' ');
}

/** In the page: the text of the attachments that extensions put behind lines, '' if there is none. */
export function annotation() {
  const spans = [...document.querySelectorAll('.monaco-editor .view-line span[class*="ced-"]')];
  const contents = spans.map((span) => getComputedStyle(span, '::after').content);
  return contents.filter((content) => content.startsWith('"')).map((content) => content.slice(1, -1)).join('').replaceAll('\u00a0', ' ');
}

/** Waits until what `read` finds in the page matches `pattern`, and gives it; a failure leaves failure.png in build/e2e-vscode. */
export async function waitForText(page, read, pattern, timeout) {
  const condition = `(pattern) => { const text = (${read})(); return pattern.test(text) && { text }; }`;
  const handle = await page.waitForFunction(`(${condition})(${pattern})`, undefined, { timeout, polling: 100 })
    .catch(async (error) => {
      await page.screenshot({ path: path.join(INSTALLED, 'failure.png') });
      throw new Error(`${read.name}: ${JSON.stringify(await page.evaluate(read))} does not match ${pattern}`, { cause: error });
    });
  return (await handle.jsonValue()).text;
}

/** What `read` finds in the page once that has stayed the same for a second. */
export async function steadyText(page, read) {
  for (let before = await page.evaluate(read); ;) {
    await page.waitForTimeout(1000);
    const text = await page.evaluate(read);
    if (text === before) {
      return text;
    }
    before = text;
  }
}

function writeJson(file, value) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, JSON.stringify(value, undefined, 2));
}
