// The example project the tests work on, in a folder of its own.

import fs from 'node:fs';
import path from 'node:path';
import { ROOT, temporaryFolder } from './workbench.mjs';

/** The last line of an unfinished function (one-based), in whose next line a body is suggested. */
export const EXAMPLE = { file: 'shop/pricing.py', line: 7 };

export function copyExamples() {
  const folder = temporaryFolder('workspace');
  fs.cpSync(path.join(ROOT, 'examples'), folder, { recursive: true });
  return folder;
}

/** With the cursor at the end of the example's line: a new line, for which VS Code asks for a completion. */
export async function pressEnterInExample(page) {
  await page.keyboard.press('Enter');
  await page.locator('[id="status.editor.selection"]', { hasText: `Ln ${EXAMPLE.line + 1}, Col 5` }).waitFor();
}
