// The example project the tests work on, in a folder of its own.

import fs from 'node:fs';
import path from 'node:path';
import { ROOT, showTab, temporaryFolder, waitForFocus } from './workbench.mjs';

/** An unfinished function: its line (one-based) that has only an indentation yet, and the end of that line. */
export const EXAMPLE = { file: 'shop/pricing.py', line: 8, cursor: 'Ln 8, Col 5' };

export function copyExamples() {
  const folder = temporaryFolder('workspace');
  fs.cpSync(path.join(ROOT, 'examples'), folder, { recursive: true });
  return folder;
}

/** Types the indentation anew: VS Code asks for completions when something is typed, not when the cursor moves. */
export async function typeIndentation(page) {
  const cursor = page.locator('[id="status.editor.selection"]');
  await cursor.filter({ hasText: EXAMPLE.cursor }).waitFor();
  await pressed(page, 'Backspace', cursor.filter({ hasNotText: EXAMPLE.cursor }));
  // Not by Tab: that would accept ghost text which has come meanwhile.
  await page.keyboard.insertText('    ');
  await cursor.filter({ hasText: EXAMPLE.cursor }).waitFor();
}

/** Presses a key until it has done something: it is lost where VS Code puts the focus elsewhere meanwhile. */
async function pressed(page, key, effect) {
  for (let nLeft = 2; ; nLeft -= 1) {
    await waitForFocus(page);
    await page.keyboard.press(key);
    try {
      await effect.waitFor({ timeout: 20_000 });
      return;
    } catch (error) {
      const focused = await page.evaluate(() => document.activeElement?.className);
      console.log(`${key} did nothing; the focus is on ${JSON.stringify(focused)}`);
      if (nLeft === 0) {
        throw error;
      }
      await showTab(page, EXAMPLE.file);
    }
  }
}
