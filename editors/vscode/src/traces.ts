// Shows what ran, as the server tells it, in VS Code's Markdown preview: the trace of a function or
// of a suggestion. The pages are documents without files; the preview runs no script in them.

import * as path from 'node:path';
import * as vscode from 'vscode';
import type { Middleware } from 'vscode-languageclient/node';

const COMMAND = 'egcfg.explainTrace';
const SCHEME = 'egcfg-trace';
const MAX_PAGES = 20;

interface Page { title: string; markdown: string }

export class Traces implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly pages = new Map<string, string>();
  private readonly registration = vscode.workspace.registerTextDocumentContentProvider(SCHEME, this);
  private nPages = 0;

  /** `shownId`: the suggestion on screen, if there is one. */
  constructor(private readonly shownId: () => string | undefined) {}

  /** The server's answer to its command is shown; run from a menu, the command is about the cursor's place. */
  readonly middleware: Middleware = {
    executeCommand: async (command, args, next) => {
      if (command !== COMMAND) {
        return next(command, args) as unknown;
      }
      const argument = (args[0] as object | undefined) ?? this.here();
      if (argument === undefined) {
        void vscode.window.showInformationMessage('egcfg: open a Python file and put the cursor into a function.');
        return undefined;
      }
      const running = Promise.resolve(next(command, [{ ...argument, show: false }]) as Promise<Page | null>);
      void vscode.window.setStatusBarMessage('$(sync~spin) egcfg: running the tests…', running);
      const page = await running;
      if (page) {
        await this.show(page);
      }
      return page;
    },
  };

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.pages.get(path.posix.dirname(uri.path)) ?? '';
  }

  dispose(): void {
    this.registration.dispose();
  }

  private here(): object | undefined {
    const editor = vscode.window.activeTextEditor;
    if (editor?.document.languageId !== 'python') {
      return undefined;
    }
    const { line, character } = editor.selection.active;
    const of = this.shownId();
    return { uri: editor.document.uri.toString(), position: { line, character }, ...(of ? { of } : {}) };
  }

  private async show({ title, markdown }: Page): Promise<void> {
    // A path of its own each time: a preview does not read one again that it has shown.
    const folder = `/${++this.nPages}`;
    this.pages.set(folder, markdown);
    this.pages.delete(`/${this.nPages - MAX_PAGES}`);
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `${folder}/${title.replaceAll('/', '_')}` });
    await vscode.commands.executeCommand('markdown.showPreviewToSide', uri);
  }
}
