// The example project the tests work on, in a folder of its own.

import fs from 'node:fs';
import path from 'node:path';
import { ROOT, temporaryFolder } from './workbench.mjs';

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
  await page.keyboard.press('Backspace');
  await cursor.filter({ hasNotText: EXAMPLE.cursor }).waitFor();
  // Not by Tab: that would accept ghost text which has come meanwhile.
  await page.keyboard.insertText('    ');
  await cursor.filter({ hasText: EXAMPLE.cursor }).waitFor();
}
