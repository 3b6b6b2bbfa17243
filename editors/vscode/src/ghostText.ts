// Keeps ghost text and its annotation at what the server last said.
// VS Code does not tell an extension what ghost text is visible: it is inferred from what VS Code
// was answered and from what the user did since. Ghost text of other extensions is not known here.

import * as vscode from 'vscode';
import type { Middleware } from 'vscode-languageclient/node';
import { Annotation } from './annotation';
import { type Outcome, type Place, type Shown, type SuggestionsChanged, annotationOf, isFor, samePosition, typedThrough, wantsRefresh } from './suggestion';

const TRIGGER = 'editor.action.inlineSuggest.trigger';
const HIDE = 'editor.action.inlineSuggest.hide';

export class GhostText implements vscode.Disposable {
  private readonly annotation = new Annotation();
  private readonly listeners: vscode.Disposable[];
  private shown: Shown | undefined;
  private latest: SuggestionsChanged | undefined;
  private refreshes: Promise<void> = Promise.resolve();
  private nAnswers = 0;

  constructor(private readonly logError: (message: string, error: unknown) => void) {
    this.listeners = [
      vscode.workspace.onDidChangeTextDocument((event) => this.documentChanged(event)),
      vscode.window.onDidChangeTextEditorSelection(() => this.shownEditor() ?? this.hidden()),
      vscode.window.onDidChangeActiveTextEditor(() => this.hidden()),
      vscode.window.onDidChangeWindowState(({ focused }) => focused || this.hidden()),
      vscode.commands.registerCommand('egcfg.dismiss', async () => {
        this.hidden();
        await vscode.commands.executeCommand(HIDE);
      }),
    ];
  }

  /** Answers VS Code from the last notification where that is for the same place, else from the server. */
  readonly middleware: Middleware = {
    provideInlineCompletionItems: async (document, position, context, token, next) => {
      this.nAnswers++;
      const here = { uri: document.uri.toString(), version: document.version, position };
      let items = this.itemsFor(here);
      if (items === undefined) {
        const answer = await next(document, position, context, token);
        if (token.isCancellationRequested) {
          return undefined;
        }
        items = this.itemsFor(here) ?? (Array.isArray(answer) ? answer : answer?.items ?? []);
      }
      this.shown = items[0] && shownAt(here, items[0]);
      this.annotate();
      return items;
    },
  };

  suggestionsChanged(message: SuggestionsChanged): void {
    this.latest = message;
    const said = message.suggestions.find(({ id }) => id === this.shown?.id);
    if (this.shown !== undefined && said !== undefined) {
      this.shown = { ...this.shown, outcome: said.outcome, summary: said.summary };
    }
    this.annotate();
    this.refreshes = this.refreshes
      .then(() => this.refresh())
      .catch((error: unknown) => this.logError('Refreshing the suggestion failed', error));
  }

  /** The id of the suggestion on screen. */
  shownId(): string | undefined {
    return this.shownEditor() && this.shown?.id;
  }

  /** What the server said is no longer so; the next request goes to the server. */
  forget(): void {
    this.latest = undefined;
    this.hidden();
  }

  dispose(): void {
    this.annotation.dispose();
    vscode.Disposable.from(...this.listeners).dispose();
  }

  private hidden(): void {
    this.shown = undefined;
    this.annotation.clear();
  }

  private itemsFor(here: Place): vscode.InlineCompletionItem[] | undefined {
    if (this.latest === undefined || !isFor(this.latest, here)) {
      return undefined;
    }
    return this.latest.suggestions.map(({ id, text, range: { start, end }, outcome, summary }) => new vscode.InlineCompletionItem(
      text,
      new vscode.Range(start.line, start.character, end.line, end.character),
      { title: 'egcfg: accepted', command: 'egcfg.didAccept', arguments: [id, outcome, summary] },
    ));
  }

  private async refresh(): Promise<void> {
    if (!this.isOutdated()) {
      return;
    }
    const nAnswers = this.nAnswers;
    await vscode.commands.executeCommand(TRIGGER);
    // VS Code asks once only for the same version and position, and says nothing when it does not.
    if (this.nAnswers === nAnswers && this.isOutdated()) {
      await vscode.commands.executeCommand('runCommands', { commands: [HIDE, TRIGGER] });
    }
  }

  private isOutdated(): boolean {
    const { shown, latest } = this;
    return shown !== undefined && latest !== undefined && this.shownEditor() !== undefined
      && isFor(latest, shown) && wantsRefresh(latest, shown);
  }

  /** The active editor, if its only cursor is where the shown suggestion starts. */
  private shownEditor(): vscode.TextEditor | undefined {
    const editor = vscode.window.activeTextEditor;
    const isThere = editor !== undefined && this.shown !== undefined
      && editor.document.uri.toString() === this.shown.uri
      && editor.selections.length === 1 && editor.selection.isEmpty
      && samePosition(editor.selection.active, this.shown.position);
    return isThere ? editor : undefined;
  }

  private documentChanged({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    if (this.shown !== undefined && document.uri.toString() === this.shown.uri && contentChanges.length > 0) {
      this.shown = typedThrough(this.shown, document.version, contentChanges);
    }
    if (this.shown === undefined) {
      this.annotation.clear();
    }
  }

  private annotate(): void {
    const { shown } = this;
    const editor = this.shownEditor();
    const text = shown && annotationOf(shown, this.latest);
    if (shown && editor && text) {
      this.annotation.show(editor, shown.position.line, shown.outcome, text);
    } else {
      this.annotation.clear();
    }
  }
}

function shownAt(place: Place, item: vscode.InlineCompletionItem): Shown {
  const [id, outcome = 'unverified', summary = ''] = (item.command?.arguments ?? []) as [id?: string, outcome?: Outcome, summary?: string];
  return { ...place, id: id ?? '', text: String(item.insertText), outcome, summary };
}
