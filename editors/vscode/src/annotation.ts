// The outcome of the shown suggestion, at the end of its line. There is one annotation at a time.

import * as vscode from 'vscode';
import type { Outcome } from './suggestion';

const COLORS: Partial<Record<Outcome, string>> = {
  verified: 'testing.iconPassed',
  fails: 'testing.iconFailed',
};
const MUTED = 'editorCodeLens.foreground';

export class Annotation implements vscode.Disposable {
  // An attachment after the line's last character is drawn behind the ghost text of that line.
  private readonly decoration = vscode.window.createTextEditorDecorationType({
    after: { margin: '0 0 0 2em', fontStyle: 'normal' },
    rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
  });
  private editor: vscode.TextEditor | undefined;

  show(editor: vscode.TextEditor, line: number, outcome: Outcome, summary: string): void {
    if (this.editor !== editor) {
      this.clear();
    }
    this.editor = editor;
    const end = editor.document.lineAt(line).range.end;
    const color = new vscode.ThemeColor(COLORS[outcome] ?? MUTED);
    editor.setDecorations(this.decoration, [
      { range: new vscode.Range(end, end), renderOptions: { after: { contentText: summary, color } } },
    ]);
  }

  clear(): void {
    this.editor?.setDecorations(this.decoration, []);
    this.editor = undefined;
  }

  dispose(): void {
    this.decoration.dispose();
  }
}
